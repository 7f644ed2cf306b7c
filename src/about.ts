import type { Principal } from './auth/principal'

/**
 * What is known of a request so far, for who watches and reports. In one place, because every table of requests costs each
 * of them, and the garbage collector.
 */
export type About = {
  readonly request_id: string
  /** In the time of `performance.now()`. */
  readonly startedAt: number
  /** As it is declared; undefined until one is found. */
  route: string | undefined
  /** Who made it; also of one that was refused because the caller may not do this. */
  caller: Principal | undefined
  /** Called with the status of the answer, when it is made; 101 where the connection became a WebSocket. */
  onAnswer: ((status: number) => void) | undefined
  /** Until the end of an answer that goes on after its headers. Never rejects. */
  lasts: Promise<void> | undefined
}

const known = new WeakMap<Request, About>()

export function about(request: Request): About {
  const before = known.get(request)
  if (before) return before
  const given = request.headers.get('x-request-id')
  const fresh: About = {
    request_id: given !== null && safe.test(given) ? given : crypto.randomUUID(),
    startedAt: performance.now(),
    route: undefined,
    caller: undefined,
    onAnswer: undefined,
    lasts: undefined,
  }
  known.set(request, fresh)
  return fresh
}

/** A caller's id goes into logs and headers, so it has to be plain. */
const safe = /^[A-Za-z0-9._:-]{1,128}$/
