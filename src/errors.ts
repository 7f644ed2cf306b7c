/** Every way a request can end badly. Clients may rely on these words; the text beside them is prose. */
export type ErrorCode =
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'invalid_request'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'rate_limited'
  | 'quota_exceeded'
  | 'provider_unavailable'
  | 'provider_timeout'
  | 'internal'

/** One refused part of a request: where it stands and what is wrong with it, never its value. */
export type FieldError = { in: 'body' | 'query' | 'path' | 'header'; path: string; message: string }

type Facts = {
  cause?: unknown
  /** Seconds after which trying again makes sense. */
  retryAfterSeconds?: number
  /** The request is not even well-formed (400), rather than well-formed and wrong (422). */
  malformed?: boolean
  /** The methods this path takes (405). */
  allow?: readonly string[]
  errors?: FieldError[]
  headers?: Record<string, string>
}

/** What rules throw. It says what is the matter; which status that is over HTTP is decided in problem.ts. */
export class AppError extends Error {
  override readonly name = 'AppError'

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly facts: Facts = {},
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
  }
}

export const unauthenticated = (message: string, headers: Record<string, string>) =>
  new AppError('unauthenticated', message, { headers })
export const forbidden = (message: string) => new AppError('forbidden', message)
/** The same words for what never existed, what is gone and what belongs to another tenant. */
export const notFound = (what: string) => new AppError('not_found', `There is no such ${what}.`)
export const conflict = (message: string) => new AppError('conflict', message)
export const invalid = (errors: FieldError[]) =>
  new AppError('invalid_request', 'The request does not have the shape this route takes; see errors.', { errors })
export const malformed = (message: string) => new AppError('invalid_request', message, { malformed: true })

/** The code that a driver gave its failure, wherever Drizzle wrapped it. */
export const failureCode = (thrown: unknown): string | undefined => fact(thrown, 'code')

/** What the system was asked to do when it failed. */
export const failureSyscall = (thrown: unknown): string | undefined => fact(thrown, 'syscall')

function fact(thrown: unknown, name: 'code' | 'syscall'): string | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const value = Reflect.get(error, name)
    if (typeof value === 'string') return value
  }
  return undefined
}
