import { inTime } from '../in-time'
import { EgressError } from './egress'

/** One request's end: by time, by its caller, or because it got too much. Whatever waits for it fails with that reason. */
export class Deadline {
  readonly #ending = new AbortController()
  readonly #timer
  readonly #caller
  readonly #left: () => void

  constructor(host: string, timeoutMs: number, caller: AbortSignal | undefined) {
    const late = () => this.end(new EgressError(`${host} did not answer in full within ${timeoutMs} ms.`, 'failed'))
    this.#timer = setTimeout(late, timeoutMs)
    this.#timer.unref()
    this.#caller = caller
    this.#left = () => this.end(new EgressError(`The request to ${host} was given up.`, 'failed'))
    if (caller?.aborted) this.#left()
    else caller?.addEventListener('abort', this.#left)
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  /** Why it ended early, if it did. */
  get reason(): EgressError | undefined {
    return this.#ending.signal.aborted ? this.#ending.signal.reason : undefined
  }

  /** Ends what is still on its way; the first reason stays. */
  end(reason: EgressError): void {
    this.over()
    this.#ending.abort(reason)
  }

  /** Nothing is on its way any longer. */
  over(): void {
    clearTimeout(this.#timer)
    this.#caller?.removeEventListener('abort', this.#left)
  }

  /** For what cannot be stopped, and need not be waited for. */
  race<T>(work: Promise<T>): Promise<T> {
    return inTime(work, { signal: this.signal })
  }
}
