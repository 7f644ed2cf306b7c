import { EgressError } from '../egress/egress'
import { AppError, failureCode } from '../errors'
import { HopelessJob, type JobKind, RetryAfter } from './job'

/** What becomes of a job after an attempt that failed. */
export type Verdict = { state: 'dead' } | { state: 'queued'; afterMs: number }

const firstWaitMs = 10_000
const longestWaitMs = 60 * 60 * 1000
/** Nobody is asked again at once, whatever chance says. */
const leastWaitMs = 1000
/** The other side may ask for patience, but not for ever. */
const longestAskedMs = 24 * 60 * 60 * 1000

/**
 * When to try again. Any time up to a bound that doubles ("full jitter"), so that what failed together does not come
 * back together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). `chance` is 0 to 1.
 */
export function verdict({ mostAttempts }: JobKind, attempts: number, error: unknown, chance: number): Verdict {
  if (error instanceof HopelessJob || attempts >= mostAttempts) return { state: 'dead' }
  const bound = Math.min(longestWaitMs, firstWaitMs * 2 ** (attempts - 1))
  const waitMs = leastWaitMs + chance * (bound - leastWaitMs)
  const askedMs = error instanceof RetryAfter ? Math.min(longestAskedMs, error.seconds * 1000) : 0
  return { state: 'queued', afterMs: Math.round(Math.max(waitMs, askedMs || 0)) }
}

/** An attempt's time is over. */
export class JobTimeout extends Error {
  override readonly name = 'JobTimeout'
}

const longestWords = 500
const ours = [AppError, EgressError, HopelessJob, RetryAfter, JobTimeout]

/**
 * An error for those who manage the tenant: stored, listed and logged. Only our own errors are quoted, which hold no
 * secrets; a library's may hold an address with a token in it, so of those there is the name and the code.
 */
export function words(error: unknown): string {
  if (!(error instanceof Error)) return 'Something was thrown that is not an error.'
  const code = failureCode(error)
  const text = ours.some((each) => error instanceof each)
    ? error.message
    : `${error.name === 'Error' ? error.constructor.name : error.name}${code === undefined ? '' : ` ${code}`}`
  return text.replace(control, ' ').slice(0, longestWords)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g
