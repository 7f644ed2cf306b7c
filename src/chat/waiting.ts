import { AppError } from '../errors'

/** Somebody waits for a reply: until the caller leaves, or the process has to end. Then `signal` is aborted with the reason. */
export class Waiting {
  readonly #stop = new AbortController()
  readonly #left = () => this.leave()
  readonly #cut = () => this.#stop.abort(processEnds)

  // Not AbortSignal.any: `cutoff` lives as long as the process and would collect a dependent for every reply.
  constructor(
    private readonly caller: AbortSignal,
    private readonly cutoff: AbortSignal,
  ) {
    caller.addEventListener('abort', this.#left)
    cutoff.addEventListener('abort', this.#cut)
    if (caller.aborted) this.leave()
    if (cutoff.aborted) this.#cut()
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  leave(): void {
    this.#stop.abort(callerLeft)
  }

  over(): void {
    this.caller.removeEventListener('abort', this.#left)
    this.cutoff.removeEventListener('abort', this.#cut)
  }
}

const callerLeft = new AppError(
  'provider_unavailable',
  'The reply was interrupted because nobody waits for it any longer.',
)
const processEnds = new AppError(
  'provider_unavailable',
  'The reply was interrupted because the server restarts; what came of it is stored.',
  { retryAfterSeconds: 1 },
)
