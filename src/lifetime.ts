/** How long what was cut off may take to store what it has and to say so, in ms. */
const lastWordsMs = 2000

/**
 * What runs in the process, what outlives a response, and how it ends: first draining (no new work, readiness fails),
 * then, when the grace is over, `cutoff`, upon which every running reply stores what it has and says so.
 */
export class Lifetime {
  readonly #running = new Set<Promise<void>>()
  readonly #cutoff = new AbortController()
  #draining = false

  constructor(private readonly onFailure: (error: unknown) => void) {}

  get draining(): boolean {
    return this.#draining
  }

  /** Aborted when running replies must end now. */
  get cutoff(): AbortSignal {
    return this.#cutoff.signal
  }

  /** Starts work that nobody awaits but `settle`. A failure is reported, never thrown. */
  run(work: () => Promise<void>): void {
    this.#track(work().catch(this.onFailure))
  }

  /** The same promise, which `settle` awaits too: a caller that left does not end the work it asked for. */
  attend<T>(work: Promise<T>): Promise<T> {
    this.#track(
      work.then(
        () => {},
        () => {},
      ),
    )
    return work
  }

  #track(work: Promise<void>): void {
    const running = work.finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when all that was started, and all that it started, is done. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  drain(): void {
    this.#draining = true
  }

  /** Ends what is left of the grace. */
  cut(): void {
    this.#cutoff.abort()
  }

  /** Ends the process's work: waits for it at most `graceMs`, then cuts it off and waits a little for its last words. */
  async end(graceMs: number): Promise<void> {
    this.drain()
    const silence = Promise.withResolvers<void>()
    const timers = [setTimeout(() => this.cut(), graceMs)]
    this.cutoff.addEventListener('abort', () => timers.push(setTimeout(silence.resolve, lastWordsMs)), { once: true })
    try {
      await Promise.race([this.settle(), silence.promise])
    } finally {
      for (const timer of timers) clearTimeout(timer)
    }
  }
}
