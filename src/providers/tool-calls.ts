import type { Chunk, ToolCall } from './provider'

/** Calls arrive whole, or in fragments that say by `index` which call they continue. None of it is to be trusted. */
export class Calls {
  readonly #calls = new Map<unknown, ToolCall>()

  get size(): number {
    return this.#calls.size
  }

  add(fragments: unknown): void {
    if (!Array.isArray(fragments)) return
    for (const [at, fragment] of fragments.entries()) {
      const { index = at, id, function: asked } = (fragment ?? {}) as Record<string, unknown>
      const { name, arguments: args } = (asked ?? {}) as Record<string, unknown>
      const call = this.#calls.get(index) ?? { id: '', name: '', arguments: '' }
      call.id ||= typeof id === 'string' ? id : ''
      call.name ||= typeof name === 'string' ? name : ''
      call.arguments += typeof args === 'string' ? args : ''
      this.#calls.set(index, call)
    }
  }

  *chunks(): Generator<Chunk> {
    let at = 0
    // Some servers give no ids; results have to name theirs.
    for (const call of this.#calls.values()) yield { type: 'call', call: { ...call, id: call.id || `call_${at++}` } }
  }
}
