import type { Provider } from './provider'

/** The model that answers where no PROVIDER_BASE_URL is set: it repeats, and says that it does. */
export const echoProvider: Provider = {
  async *reply({ messages }, { stream }) {
    const last = messages.findLast(({ role }) => role === 'user')?.content ?? ''
    const text = `You said: ${last}\n\n(The built-in echo model answers. Set PROVIDER_BASE_URL and PROVIDER_MODEL for a real one.)`
    const pieces = stream ? (text.match(/\s*\S+|\s+$/g) ?? []) : [text]
    for (const piece of pieces) yield { type: 'text', text: piece }
    yield { type: 'end', model: 'echo' }
  },
}
