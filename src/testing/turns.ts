/** Who is at work on a database: one at a time and the others in a queue, or with connections for it all at once. */
export class Turns {
  #running = 0
  readonly #queue: (() => void)[] = []
  #idle: PromiseWithResolvers<void> | undefined

  /** How long one waits for the others, in ms. */
  constructor(private readonly options: { together: boolean; patienceMs: number }) {}

  get busy(): boolean {
    return this.#running > 0
  }

  /** Resolves when nobody is at work or waits. */
  idle(): Promise<void> {
    if (!this.busy) return Promise.resolve()
    this.#idle ??= Promise.withResolvers()
    return this.#idle.promise
  }

  /** Undefined where it is its turn at once, else when it is; rejects with `late` when that does not come in time. */
  begin(late: () => Error): Promise<void> | undefined {
    if (this.busy && !this.options.together) return this.#wait(late)
    this.#running++
    return undefined
  }

  end(): void {
    const next = this.#queue.shift()
    if (next) {
      next()
      return
    }
    this.#running--
    if (this.busy) return
    this.#idle?.resolve()
    this.#idle = undefined
  }

  /** Resolves when all before it are done, with the turn of the last of them. */
  async #wait(late: () => Error): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      this.#queue.splice(this.#queue.indexOf(resolve), 1)
      reject(late())
    }, this.options.patienceMs)
    this.#queue.push(resolve)
    try {
      await promise
    } finally {
      clearTimeout(timer)
    }
  }
}
