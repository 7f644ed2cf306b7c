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
  /** The routes, as `METHOD /path`, whose streams have no end. They are hung up on when nothing more comes. */
  endless?: readonly string[]
}

/** An answer: all of it, or of a stream without an end what came until nothing did for a while. */
export async function readAnswer(
  route: AnyRoute,
  response: Response,
  { endless = [] }: Streams,
): Promise<ClientResponse> {
  if (!response.body || !endless.includes(keyOf(route))) return await read(response)
  const reader = response.body.getReader() as Reader
  const decoder = new TextDecoder()
  const until = performance.now() + longestMs
  let text = ''
  while (performance.now() < until) {
    const next = await Promise.race([reader.read(), Bun.sleep(quietMs)])
    if (!next || next.done) break
    text += typeof next.value === 'string' ? next.value : decoder.decode(next.value, { stream: true })
  }
  await reader.cancel()
  return await read(new Response(text, { status: response.status, headers: response.headers }))
}

const quietMs = 50
const longestMs = 500

/** Throws all of it at once; nothing where there is nothing. */
export function failWith(what: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(`${what}\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
}

/** As sweeps register what they check. */
export type Register<All> = (name: string, body: (all: All) => unknown, options?: { timeout: number }) => void

/** Hundreds of requests in one test take longer than bun's 5 s where the machine is busy. */
export const patient = { timeout: 60_000 }
