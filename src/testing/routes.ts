import { type ClientResponse, read } from './client'
import type { Reader } from './open-streams'

/** What the sweeps read of a route of Elysia's. */
export type AnyRoute = { readonly method: string; readonly path: string }

/** `GET /notes/:id`, as entries of sweeps are called. */
export const keyOf = ({ method, path }: AnyRoute): string => `${method} ${path}`

/** Preflights carry no credentials and reach no handler, so no sweep calls them. */
export const swept = <Route extends AnyRoute>(routes: readonly Route[]): Route[] =>
  routes.filter(({ method }) => method !== 'OPTIONS')

/** Routes that nothing says how to call, and entries whose route is gone. */
export function gaps(routes: readonly AnyRoute[], entries: object): string[] {
  const [found, described] = [swept(routes).map(keyOf), Object.keys(entries)]
  return [
    ...found.filter((key) => !described.includes(key)).map((key) => `${key} has no entry: say how to call it.`),
    ...described.filter((key) => !found.includes(key)).map((key) => `${key} is no route: remove its entry.`),
  ]
}

/** Whether a request to this path can be for this route. */
export function isAt({ path: pattern }: AnyRoute, path: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.replace(/[?#].*$/, '').split('/')]
  return (
    (wanted.length === given.length || wanted.includes('*')) &&
    wanted.every((part, at) => part === given[at] || part === '*' || (part.startsWith(':') && given[at] !== ''))
  )
}

/** What a sweep has to be told of streams. */
export type Streams = {
  /** The routes, as `METHOD /path`, whose streams have no end. Each answer is listened to for `listenMs`. */
  endless?: readonly string[]
  /** In ms; 100 unless said otherwise. */
  listenMs?: number
}

/** Throws where a route is named that there is not. */
export function requireStreams(routes: readonly AnyRoute[], { endless = [] }: Streams): void {
  const keys = routes.map(keyOf)
  const unknown = endless.find((key) => !keys.includes(key))
  if (unknown !== undefined) throw new Error(`\`endless\` names ${unknown}, which is no route.`)
}

export const isEndless = (route: AnyRoute, { endless = [] }: Streams): boolean => endless.includes(keyOf(route))

/** An answer: all of it, or of a stream without an end what comes while it is listened to, each event once. */
export async function readAnswer(route: AnyRoute, response: Response, streams: Streams): Promise<ClientResponse> {
  if (!response.body || !isEndless(route, streams)) return await read(response)
  const type = response.headers.get('content-type') ?? ''
  const text = await heard(response.body.getReader() as Reader, streams.listenMs ?? usualListenMs)
  // How often it comes is a matter of time. What is no stream of events is text here, as it may be cut off.
  const events = type.startsWith('text/event-stream')
    ? { between: '\n\n', type }
    : { between: '\n', type: type.replace(/json/i, 'text') }
  const once = [...new Set(text.split(events.between))].join(events.between)
  const headers = new Headers(response.headers)
  headers.set('content-type', events.type)
  return await read(new Response(once, { status: response.status, headers }))
}

export const usualListenMs = 100

async function heard(reader: Reader, ms: number): Promise<string> {
  const decoder = new TextDecoder()
  const over = Bun.sleep(ms)
  const until = performance.now() + ms
  let text = ''
  // One that has always more leaves no room for a timer.
  while (performance.now() < until) {
    const next = await Promise.race([reader.read(), over])
    if (!next || next.done) break
    text += typeof next.value === 'string' ? next.value : decoder.decode(next.value, { stream: true })
  }
  // It may take its time, which is not the sweep's.
  reader.cancel().catch(() => {})
  return text
}

/** Throws all of it at once; nothing where there is nothing. */
export function failWith(what: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(`${what}\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
}

/** As sweeps register what they check. */
export type Register<All> = (name: string, body: (all: All) => unknown, options?: { timeout: number }) => void

/** Hundreds of requests in one test take longer than bun's 5 s where the machine is busy. */
export const patient = { timeout: 60_000 }
