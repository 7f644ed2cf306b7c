import type { Session } from '../database/session'

/** A transaction that is held open until it is rolled back, with what a test did in it. */
export class Held {
  #isOver = false
  #begunAt = performance.now()

  private constructor(
    readonly session: Session,
    private readonly over: Promise<never>,
    private readonly end: (reason: Error) => void,
  ) {
    over.catch(() => {
      this.#isOver = true
    })
  }

  /** `ground` is what is asked first, and nobody waits for it. */
  static async open(session: Session, ground?: string): Promise<Held> {
    const opened = Promise.withResolvers<Session>()
    const end = Promise.withResolvers<never>()
    let isBegun = false
    const over = session.nest((inner) => {
      // Begun again by itself, as after a deadlock, it would be another one, without what the test did.
      if (isBegun) throw lost
      isBegun = true
      opened.resolve(inner)
      return end.promise
    })
    over.catch(opened.reject)
    const held = new Held(await opened.promise, over, end.reject)
    if (ground !== undefined) held.#ask(ground).catch(() => {}) // what comes behind it fails too
    return held
  }

  /** True where it was rolled back, or its connection was lost. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Rolls back and begins again in one round trip; on Postgres. */
  async renew(ground: string): Promise<void> {
    await this.#ask(`rollback and chain; ${ground}`)
    this.#begunAt = performance.now()
  }

  /** For the next test: `now()` is when the transaction began, so one that has waited begins once more, and nobody waits for it. */
  refresh(ground: string): void {
    if (performance.now() - this.#begunAt > staleMs) this.renew(ground).catch(() => {}) // what comes behind it fails too
  }

  async rollback(): Promise<void> {
    this.end(rolledBack)
    await this.over.catch((error) => {
      if (error !== rolledBack) throw error
    })
  }

  async #ask(text: string): Promise<void> {
    await this.session.run({ text, params: [], shape: 'arrays' })
  }
}

const staleMs = 20

/** Of what is thrown in a transaction: it is not begun again. */
const final = { isFinal: true } as const
const rolledBack = Object.assign(new Error('rolled back'), final)
const lost = Object.assign(new Error('The transaction of a test was lost with its connection.'), final)
