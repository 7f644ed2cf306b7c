import { AsyncLocalStorage } from 'node:async_hooks'

const inside = new AsyncLocalStorage<true>()

/**
 * What a test does at the same time as a rewind comes before or after it: it would be undone with it, or each would wait
 * for the other, the one for a database and the other for an answer.
 */
export class Rewinds {
  #last: Promise<unknown> | undefined

  /** Resolves when no rewind goes on, but for one that this is a part of. */
  async passed(): Promise<void> {
    while (this.#last && !inside.getStore()) await this.#last
  }

  /** Runs `work` when all before it has settled. A rewind in a rewind is a part of that. */
  async run<T>({ before, work }: { before: () => Promise<void>; work: () => Promise<T> }): Promise<T> {
    if (inside.getStore()) return await work()
    const earlier = this.#last
    const turn = Promise.withResolvers<void>()
    this.#last = turn.promise
    try {
      await earlier
      await before()
      return await inside.run(true, work)
    } finally {
      if (this.#last === turn.promise) this.#last = undefined
      turn.resolve()
    }
  }
}
