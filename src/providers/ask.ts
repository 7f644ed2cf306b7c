import { AppError } from '../errors'
import { inTime, Watchdog } from '../in-time'
import { type Chunk, type Provider, ProviderFailure, type ProviderRequest } from './provider'

/** How long and how much a reply may take. All times in ms. */
export type ProviderLimits = {
  totalMs: number
  /** Until the provider begins a streamed reply. */
  firstByteMs: number
  /** Between two pieces. */
  idleMs: number
  /** Before the one retry, where the provider does not say. */
  retryMs: number
  /** Characters of text, and of what the model asks tools for. */
  longestReply: number
}

/** A provider that says to come back later than this is not waited for. */
const longestRetryAfterSeconds = 10
/** The most that callers are told to wait, whatever the provider says. */
const longestPassedOnSeconds = 24 * 60 * 60

/** How an attempt ended; `interrupted` where nobody wanted the reply any longer. */
export const attemptOutcomes = ['ok', 'failed', 'timeout', 'interrupted'] as const
export type ProviderAttempt = {
  outcome: (typeof attemptOutcomes)[number]
  durationMs: number
  /** Until the provider sent anything; undefined where it did not. */
  firstPieceMs: number | undefined
}

type Asking = {
  stream: boolean
  signal: AbortSignal
  limits: ProviderLimits
  /** Hears of every attempt once it is over. */
  onAttempt?: (attempt: ProviderAttempt) => void
}

/**
 * Asks within limits, and once more if the provider was busy and had not begun. The last chunk is always `end`:
 * a reply that was cut throws, as does one that is empty, too long or too slow. Throws AppError, or the signal's reason.
 */
export async function* ask(provider: Provider, request: ProviderRequest, asking: Asking): AsyncGenerator<Chunk> {
  const { signal, limits } = asking
  const deadline = performance.now() + limits.totalMs
  for (let attempt = 1; ; attempt++) {
    let begun = false
    try {
      for await (const chunk of attend(provider, request, { ...asking, deadline })) {
        begun = true
        yield chunk
      }
      return
    } catch (error) {
      if (!(error instanceof ProviderFailure)) throw error
      const waitMs = error.retryAfterSeconds === undefined ? limits.retryMs : error.retryAfterSeconds * 1000
      const worthwhile = error.kind === 'busy' && !begun && attempt === 1 && waitMs <= longestRetryAfterSeconds * 1000
      if (!worthwhile || performance.now() + waitMs >= deadline) throw unavailable(error)
      await pause(waitMs, signal)
    }
  }
}

const late = () => new AppError('provider_timeout', 'The model did not reply in time; try again.')

/** One attempt. Whatever ends it, the provider stops working. */
async function* attend(
  provider: Provider,
  request: ProviderRequest,
  { stream, signal, limits, deadline, onAttempt }: Asking & { deadline: number },
): AsyncGenerator<Chunk> {
  const stop = new AbortController()
  const leave = () => stop.abort(signal.reason)
  signal.throwIfAborted()
  signal.addEventListener('abort', leave, { once: true })
  const chunks = provider.reply(request, { stream, signal: stop.signal })[Symbol.asyncIterator]()
  const watchdog = new Watchdog({ late, signal })
  const startedAt = performance.now()
  let firstPieceMs: number | undefined
  // As long as nothing else is known: whoever reads stops reading.
  let outcome: ProviderAttempt['outcome'] = 'interrupted'
  try {
    let length = 0
    for (let first = true; ; first = false) {
      const patienceMs = Math.min(
        deadline - performance.now(),
        !stream ? limits.totalMs : first ? limits.firstByteMs : limits.idleMs,
      )
      const { value, done } = await watchdog.waitFor(chunks.next(), patienceMs)
      firstPieceMs ??= done ? undefined : performance.now() - startedAt
      if (done) throw new ProviderFailure('The reply was cut before its end.', 'failed')
      if (value.type === 'text') length += value.text.length
      if (value.type === 'call') length += 1 + value.call.name.length + value.call.arguments.length
      if (length > limits.longestReply)
        throw new ProviderFailure(`The reply is longer than ${limits.longestReply} characters.`, 'failed')
      if (value.type === 'end' && length === 0) throw new ProviderFailure('The reply is empty.', 'failed')
      if (value.type === 'end') outcome = 'ok'
      if (value.type !== 'text' || value.text !== '') yield value
      if (value.type === 'end') return
    }
  } catch (error) {
    const isLate = error instanceof AppError && error.code === 'provider_timeout'
    if (!signal.aborted) outcome = isLate ? 'timeout' : 'failed'
    throw error
  } finally {
    watchdog.over()
    signal.removeEventListener('abort', leave)
    if (outcome !== 'ok') stop.abort()
    // Not awaited: a provider that hangs would hang here too.
    chunks.return?.().catch(() => {})
    onAttempt?.({ outcome, durationMs: performance.now() - startedAt, firstPieceMs })
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => {
  const rested = Promise.withResolvers<void>()
  const timer = setTimeout(rested.resolve, ms)
  return inTime(rested.promise, { signal }).finally(() => clearTimeout(timer))
}

function unavailable(failure: ProviderFailure): AppError {
  const seconds = Math.ceil(failure.retryAfterSeconds ?? 1)
  return new AppError('provider_unavailable', 'The model could not be reached or gave no whole reply; try again.', {
    cause: failure,
    ...(failure.kind === 'busy' && { retryAfterSeconds: Math.min(Math.max(1, seconds), longestPassedOnSeconds) }),
  })
}
