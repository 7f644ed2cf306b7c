import { Elysia, NotFoundError } from 'elysia'
import { about } from './about'
import { AppError, malformed } from './errors'
import { problemResponse, toAppError } from './problem'
import { type Reporter, reportFailure } from './reporter'

/** What every answer carries (id, time, problem document), whether a handler gave it, a hook or nobody. */
export function envelope({ reporter, methodsAt }: { reporter: Reporter; methodsAt: (path: string) => string[] }) {
  const answer = (error: AppError, request: Request): Response => {
    const { request_id } = about(request)
    reportFailure(reporter, error, { request_id })
    return problemResponse(error, { instance: pathOf(request), requestId: request_id })
  }

  return new Elysia({ name: 'envelope' })
    .wrap((next) => async (...args: unknown[]) => {
      const request = args[0] as Request
      const known = about(request)
      const response = (await next(...args)) as unknown as Response | undefined // Elysia types what it wraps as any function
      known.onAnswer?.(response?.status ?? 101)
      if (response === undefined) return response // upgraded to a WebSocket
      response.headers.set('x-request-id', known.request_id)
      response.headers.set('server-timing', `app;dur=${(performance.now() - known.startedAt).toFixed(2)}`)
      for (const [name, value] of always) response.headers.set(name, value)
      for (const [name, value] of unlessSaid) {
        if (!response.headers.has(name)) response.headers.set(name, value)
      }
      return response
    })
    .onRequest(({ request }) => {
      // Where the Host header names no host, Bun gives the bare path as URL, and Elysia would skip what it takes for the
      // host: /xxxxxx/health would run /health.
      if (!URL.canParse(request.url)) return answer(malformed('Send a Host header that names a host.'), request)
    })
    .onError({ as: 'global' }, ({ error, request }) => {
      const methods = error instanceof NotFoundError ? methodsAt(pathOf(request)) : []
      return answer(
        methods.length > 0
          ? new AppError('invalid_request', `This address takes ${methods.join(', ')}.`, { allow: methods })
          : toAppError(error),
        request,
      )
    })
}

/** Whatever it is, a browser takes it for what it says it is, shows it in no frame and lends it to no other site. */
const always = [
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'DENY'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
] as const

/** Of data: nothing in it may run, and nobody keeps it. Pages have a policy of their own, and files may be kept. */
const unlessSaid = [
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['cache-control', 'no-store'],
] as const

/** By hand, because what an odd Host header makes of the URL cannot be parsed. */
const pathOf = ({ url }: Request): string => /^(?:https?:\/\/[^/?#]*)?([^?#]*)/.exec(url)?.[1] || '/'
