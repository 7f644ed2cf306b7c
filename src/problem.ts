import { NotFoundError, ParseError, ValidationError } from 'elysia'
import { isOutage } from './database/outage'
import { AppError, type ErrorCode, type FieldError, invalid } from './errors'

/** What a client gets for anything that went wrong (RFC 9457). */
export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  code: ErrorCode
  instance: string
  request_id: string
  errors?: FieldError[]
}

const kinds: Record<ErrorCode, { status: number; title: string }> = {
  unauthenticated: { status: 401, title: 'Authentication is needed' },
  forbidden: { status: 403, title: 'Not permitted' },
  not_found: { status: 404, title: 'Not found' },
  conflict: { status: 409, title: 'In conflict with what is there' },
  payload_too_large: { status: 413, title: 'Too large' },
  unsupported_media_type: { status: 415, title: 'Media type not supported' },
  invalid_request: { status: 422, title: 'The request is not valid' },
  rate_limited: { status: 429, title: 'Too many requests' },
  quota_exceeded: { status: 429, title: 'The quota is used up' },
  internal: { status: 500, title: 'Something went wrong here' },
  provider_unavailable: { status: 502, title: 'The model gave no reply' },
  provider_timeout: { status: 504, title: 'The model took too long' },
}

export const errorCodes = Object.keys(kinds)

/** The one place where a failure becomes an HTTP status. */
export function statusOf({ code, facts }: AppError): number {
  if (facts.malformed) return 400
  if (facts.allow) return 405
  // A failure on our side that says when to come back is an interruption, not a defect.
  if (facts.retryAfterSeconds !== undefined && kinds[code].status >= 500) return 503
  return kinds[code].status
}

/** Anything thrown, as an answer. Only an AppError's own words are shown; what nobody foresaw says nothing of itself. */
export function problemResponse(error: AppError, at: { instance: string; requestId: string }): Response {
  const status = statusOf(error)
  const problem: Problem = {
    type: `urn:problem-type:${error.code}`,
    title: kinds[error.code].title,
    status,
    detail: error.message,
    code: error.code,
    instance: at.instance,
    request_id: at.requestId,
    ...(error.facts.errors && { errors: error.facts.errors }),
  }
  const headers = new Headers({ ...error.facts.headers, 'content-type': 'application/problem+json' })
  if (error.facts.allow) headers.set('allow', error.facts.allow.join(', '))
  if (error.facts.retryAfterSeconds !== undefined) headers.set('retry-after', String(error.facts.retryAfterSeconds))
  return new Response(JSON.stringify(problem), { status, headers })
}

/** Anything thrown, as an AppError. `internal` marks what nobody foresaw and somebody should see. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  // Elysia wraps what is thrown before the body is parsed; letting the caller in is part of that.
  if (thrown instanceof ParseError) return toAppError(thrown.cause)
  if (thrown instanceof NotFoundError) return new AppError('not_found', 'There is nothing at this address.')
  if (thrown instanceof ValidationError && thrown.type !== 'response') {
    return invalid(fieldErrors(thrown.all, places[thrown.type] ?? 'body'))
  }
  if (thrown instanceof ValidationError) return unforeseen(unfit(thrown))
  if (isOutage(thrown)) {
    return new AppError('internal', 'The database does not answer; try again shortly.', {
      cause: thrown,
      retryAfterSeconds: 1,
    })
  }
  return unforeseen(thrown)
}

const unforeseen = (cause: unknown) =>
  new AppError('internal', 'The request failed here; the request id finds it in the log.', { cause })

/** Elysia's own words quote all of the answer, and what people said has no place in a log. */
const unfit = ({ all }: ValidationError): Error =>
  new Error(
    `The answer is not as its schema says: ${fieldErrors(all, 'body')
      .map(({ path, message }) => `${path} ${message}`)
      .join('; ')}`,
  )

const places: Record<string, FieldError['in']> = { body: 'body', query: 'query', params: 'path', headers: 'header' }

/** What TypeBox found wrong with a value that stands in this place of a request, below the path `under`. */
export function fieldErrors(errors: Iterable<object>, place: FieldError['in'], under = ''): FieldError[] {
  const byPath = new Map<string, FieldError>()
  for (const found of errors) {
    if (!('path' in found)) continue
    const path = under + (typeof found.path === 'string' ? found.path : '')
    if (!byPath.has(path)) byPath.set(path, { in: place, path, message: describe(found) })
    if (byPath.size === 20) break
  }
  return [...byPath.values()]
}

/** TypeBox reports the value with the failure; only the rule is passed on. */
function describe(found: object): string {
  const { message, value, schema } = found as {
    message?: string
    value?: unknown
    schema?: { error?: unknown; enum?: string[]; anyOf?: { type?: string }[] }
  }
  if (typeof schema?.error === 'string') return schema.error
  if (value === undefined) return 'is required'
  if (schema?.enum) return `must be one of ${schema.enum.join(', ')}`
  if (schema?.anyOf) return `must be ${schema.anyOf.map(({ type }) => type).join(' or ')} within its limits`
  return (message ?? 'is not valid')
    .replace(/^Expected \w+ to /, 'must ')
    .replace(/^Expected \w+ length /, 'must have a length ')
    .replace(/^Expected /, 'must be ')
    .replace(/^Unexpected property$/, 'is not known here')
}
