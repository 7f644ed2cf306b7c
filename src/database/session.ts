import { AsyncLocalStorage } from 'node:async_hooks'
import { inTime } from '../in-time'
import { currentReach, type Reach } from './reach'

export type Statement = {
  readonly text: string
  readonly params: readonly unknown[]
  /** Drizzle maps rows itself, from arrays in column order, unless the query is raw. */
  readonly shape: 'arrays' | 'objects'
  /** Not ended by any limit of ours: a step of a migration. */
  readonly takesLong?: true
  /** Whose rows it is about. Said of what runs on its own; in a transaction, what was said for that holds. */
  readonly reach?: Reach
}

/** Where statements run: a database, a transaction on it, or a savepoint inside one. */
export interface Session {
  run(statement: Statement): Promise<unknown[]>
  /**
   * Opens a transaction (or savepoint) for `work`: kept if it resolves, undone if it rejects. It may be begun again after a
   * clash with others, unless what `work` throws has `isFinal: true`.
   */
  nest<T>(work: (inner: Session) => Promise<T>, reach?: Reach): Promise<T>
  /** True where nothing has to wait for another before it comes here: a pool of connections, or a queue of its own. */
  readonly pooled?: boolean
  /** True where a statement may be sent before the one ahead of it is answered: they are run in the order in which they came. */
  readonly pipelines?: boolean
}

/** A session that concurrent requests share: one thing at a time, where a transaction is one thing. */
export class Scope {
  static readonly #ambient = new AsyncLocalStorage<Scope>()

  /** The innermost scope that the running code was called in. */
  static current(): Scope | undefined {
    return Scope.#ambient.getStore()
  }

  /** How long a statement waits for its turn, in ms, before it is taken for a deadlock. */
  static patienceMs = 5000

  #tail: Promise<unknown> = Promise.resolve()
  #underWay = 0
  /** Those among them that nothing may be sent along with. */
  #blocking = 0
  #failure: { readonly error: unknown } | undefined
  #ended = false
  #committed: (() => void)[] = []

  constructor(
    readonly session: Session,
    private readonly kind: 'database' | 'transaction' = 'database',
    private readonly reach: Reach = '',
  ) {}

  /** Calls `work` when what was written here is committed; at once where no transaction is open, never when it is undone. */
  afterCommit(work: () => void): void {
    if (this.kind === 'database') work()
    else this.#committed.push(work)
  }

  /** Runs `work` with this scope as the ambient one. Awaits inside, because a Drizzle query only starts when awaited. */
  enter<T>(work: () => PromiseLike<T>): Promise<T> {
    return Scope.#ambient.run(this, async () => await work())
  }

  run(statement: Statement): Promise<unknown[]> {
    switch (this.kind) {
      case 'database':
        return this.#inTurn(() => this.session.run({ ...statement, reach: currentReach() }))
      case 'transaction':
        return this.#inTurn(async () => {
          // Postgres refuses everything after a failed statement, SQLite would carry on. Both do the former here.
          if (this.#failure) throw this.#failure.error
          this.#requireReach()
          return this.session.run(statement).catch((error) => {
            this.#failure ??= { error } // of those that were sent behind a failed one, the reason is that one
            throw this.#failure.error
          })
        }, 'statement')
    }
  }

  transaction<T>(work: () => PromiseLike<T>): Promise<T> {
    return this.#inTurn(async () => {
      if (this.#failure) throw this.#failure.error
      this.#requireReach()
      const reach = currentReach()
      let committed: (() => void)[] = []
      const within = async (session: Session) => {
        const scope = new Scope(session, 'transaction', reach)
        committed = scope.#committed // of the last attempt only: what was undone is not announced
        try {
          const result = await scope.enter(work)
          await scope.#settled()
          if (scope.#failure) throw scope.#failure.error
          return result
        } finally {
          await scope.#settled()
          scope.#ended = true
        }
      }
      const result = await (this.kind === 'database' ? this.session.nest(within, reach) : this.session.nest(within))
      for (const announce of committed) this.afterCommit(announce)
      return result
    })
  }

  /** On Postgres the database goes on with what was said when the transaction began; `all` has every tenant in it. */
  #requireReach(): void {
    if (this.kind === 'transaction' && this.reach !== 'all' && this.reach !== currentReach())
      throw new Error('The tenant changed inside a transaction: asTenant() and acrossTenants() go around it.')
  }

  async #settled(): Promise<void> {
    for (let tail: unknown; tail !== this.#tail; ) {
      tail = this.#tail
      await tail
    }
  }

  /** Does `work` when all before it is done. Waits no longer than `patienceMs`: what it waits for may be waiting for it. */
  async #inTurn<T>(work: () => Promise<T>, kind: 'statement' | 'any' = 'any'): Promise<T> {
    if (this.#ended) throw new Error('This transaction is over: something in it was not awaited')
    if (this.session.pooled) return work()
    const isFirst = this.#underWay === 0
    // Statements wait for nobody, so those that come together need no patience with each other, or not even to wait.
    const isAmongStatements = kind === 'statement' && this.#blocking === 0
    const before = this.#tail
    const turn = Promise.withResolvers<void>()
    // Claimed in the same synchronous step that looked, or two could come in at once.
    this.#tail = before.then(() => turn.promise)
    this.#underWay++
    if (!isAmongStatements) this.#blocking++
    try {
      if (isAmongStatements) {
        if (!isFirst && !this.session.pipelines) await before
      } else if (!isFirst) await inTime(before, { ms: Scope.patienceMs, late: waitedTooLong })
      return await work()
    } finally {
      this.#underWay--
      if (!isAmongStatements) this.#blocking--
      turn.resolve()
    }
  }
}

export const waitedTooLong = () =>
  new Error(`Waited ${Scope.patienceMs} ms for a transaction: does it await something that was started outside it?`)
