type Bounds = {
  /** What is thrown when it took longer than it may, in ms. */
  late?: ((ms: number) => Error) | undefined
  /** Its reason is thrown when it is aborted. */
  signal?: AbortSignal | undefined
}

const tookLonger = (ms: number) => new Error(`It took longer than ${ms} ms.`)

/**
 * What `work` comes to, or the reason why it is not waited for any longer: for ever, where `ms` is not said. Whether it
 * stops then is its own affair.
 */
export async function inTime<T>(work: Promise<T>, { ms, ...bounds }: Bounds & { ms?: number }): Promise<T> {
  const watchdog = new Watchdog(bounds)
  try {
    return await watchdog.waitFor(work, ms)
  } finally {
    watchdog.over()
  }
}

/**
 * Waits for one thing after the other, with one listener and one timer for all of them: a reply comes in hundreds of
 * pieces, and a timer for each costs more than the piece.
 */
export class Watchdog {
  /** Ends the wait that is on. */
  #giveUp: ((reason: unknown) => void) | undefined
  #ms = 0
  /** When the wait that is on has taken too long, in the time of `performance.now()`. */
  #dueAt = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #ringsAt = Number.POSITIVE_INFINITY

  constructor(private readonly bounds: Bounds) {
    bounds.signal?.addEventListener('abort', this.#leave, { once: true })
  }

  /** As `inTime`; the next thing is waited for when this one is over. */
  async waitFor<T>(work: Promise<T>, ms = Number.POSITIVE_INFINITY): Promise<T> {
    const turn = Promise.withResolvers<T>()
    work.then(turn.resolve, turn.reject) // what is not waited for any longer may fail later
    this.#giveUp = turn.reject
    this.#ms = ms
    this.#dueAt = performance.now() + ms
    if (this.bounds.signal?.aborted) this.#leave()
    else if (this.#dueAt < this.#ringsAt) this.#ringIn(ms)
    try {
      return await turn.promise
    } finally {
      this.#giveUp = undefined
    }
  }

  over(): void {
    clearTimeout(this.#timer)
    this.bounds.signal?.removeEventListener('abort', this.#leave)
  }

  readonly #leave = (): void => this.#giveUp?.(this.bounds.signal?.reason)

  #ringIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#ringsAt = performance.now() + ms
    this.#timer = setTimeout(this.#ring, Math.max(0, ms))
  }

  /** The timer was set for an earlier thing, where it was quick. */
  readonly #ring = (): void => {
    this.#ringsAt = Number.POSITIVE_INFINITY
    const leftMs = this.#dueAt - performance.now()
    if (!this.#giveUp || this.#ms === Number.POSITIVE_INFINITY) return
    if (leftMs > 0) this.#ringIn(leftMs)
    else this.#giveUp((this.bounds.late ?? tookLonger)(this.#ms))
  }
}
