import type { Session } from '../database/session'

/** A transaction that is held open until it is rolled back, with what a test did in it. */
export class Held {
  #isOver = false

  private constructor(
    readonly session: Session,
    private readonly over: Promise<never>,
    private readonly end: (reason: Error) => void,
  ) {
    over.catch(() => {
      this.#isOver = true
    })
  }

  /** `ground` is what is asked first, and nobody waits for it: where it fails, what comes behind it fails too. */
  static async open(session: Session, ground?: string): Promise<Held> {
    const opened = Promise.withResolvers<Session>()
    const end = Promise.withResolvers<never>()
    const over = session.nest((inner) => {
      opened.resolve(inner)
      return end.promise
    })
    over.catch(opened.reject)
    const held = new Held(await opened.promise, over, end.reject)
    if (ground !== undefined) held.#ask(ground).catch(() => {})
    return held
  }

  /** True where it was rolled back, or its connection was lost. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Rolls back and begins again in one round trip; on Postgres. */
  async renewed(ground: string): Promise<this> {
    await this.#ask(`rollback and chain; ${ground}`)
    return this
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

const rolledBack = new Error('rolled back')
