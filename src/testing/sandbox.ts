import { Database as Client } from 'bun:sqlite'
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Session, Statement } from '../database/session'
import { type CommitRules, checkDeferredSync, deferNoMoreSync, needsCommit, realCommit } from './commit'
import { requireForkable } from './guards'
import { type Ledger, type LedgerStatement, undo, undoable } from './ledger'
import { asTransaction } from './postgres-transaction'
import { onlyReads } from './reads'
import { Turns } from './turns'

export type Dialect = 'sqlite' | 'postgres'
export type IsolationLevel = 'savepoint' | 'fork'

/** Whose sandbox it is, for messages that are read in another test's output. */
export type TestIdentity = { name: string; place: string }

type Options = {
  dialect: Dialect
  level: IsolationLevel
  test: TestIdentity
  ledger: Ledger
  rules: CommitRules
  /** How long a statement waits for its turn or for a lock, in ms, before it is taken for a deadlock. */
  patienceMs?: number
  /** The tests that hold a transaction in the same database now, this one among them. */
  neighbours?: Iterable<TestIdentity>
  /** Statements that run in a savepoint although it cannot show all that they do. */
  tolerated?: readonly RegExp[]
  /** What a savepoint cannot show is said differently there: another level would not help. */
  isInRewind?: boolean
  /** Told of what came when the sandbox was closed, because nobody may be there to hear its error. */
  onLate?: (error: Error) => void
}

const usualPatienceMs = 4000

/** What a sandbox of the level `savepoint` stands on, where it needs that: from there on, a failed statement is undone by itself. */
export const groundOn = (dialect: Dialect, patienceMs = usualPatienceMs): string | undefined =>
  dialect === 'postgres' ? `set local lock_timeout = ${patienceMs}; savepoint ${step}` : undefined

/** Marks the code that runs inside a transaction of a sandbox, so that it is noticed on the outer handle. */
const insideTransaction = new AsyncLocalStorage<{ of: Sandbox; open: boolean }>()

/** What runs in a rewind, so that another one in it is a part of it and does not wait for it. */
const insideRewind = new AsyncLocalStorage<Sandbox>()

/**
 * One test's database, as the app sees it: the whole database, with real transactions. At the level `savepoint` it is a
 * place inside a transaction that will be rolled back, at the level `fork` a database of the test's own.
 */
export class Sandbox implements Session {
  /** It has a queue of its own, where it needs one. */
  readonly pooled = true
  /** Whether there are connections for several things at the same time. */
  readonly #concurrent: boolean
  readonly #turns: Turns
  readonly #asking = new Set<LedgerStatement>()
  #closedAt: number | undefined
  /** The sandbox inside this one, while there is one: what goes on goes on there. */
  #rewinding: Sandbox | undefined

  private readonly inner: Session

  constructor(
    private readonly opened: Session,
    private readonly options: Options,
  ) {
    this.#concurrent = options.level === 'fork' && opened.pooled === true
    this.#turns = new Turns({ together: this.#concurrent, patienceMs: this.#patienceMs })
    this.inner = this.#untilClosed(opened)
  }

  /** One statement of its own. On Postgres it has a savepoint, so that its failure (25P02) stays its own. */
  run(statement: Statement): Promise<unknown[]> {
    const { level, dialect, rules } = this.options
    const alone = (session: Session) => this.#recorded(session, statement, 0)
    const step = () => {
      if (level === 'fork') return alone(this.inner)
      if (needsCommit(statement, rules)) return this.#committed(alone)
      return dialect === 'postgres' ? this.#undoable(statement) : alone(this.inner)
    }
    return this.#alone(statement.text, step)
  }

  /** A savepoint before each statement would cost two round trips; one behind it is sent along and nobody waits for it. */
  async #undoable(statement: Statement): Promise<unknown[]> {
    const recorded = this.#recorded(this.inner, statement, 0)
    try {
      return await (onlyReads(statement.text) ? recorded : this.#keep(recorded))
    } catch (error) {
      await this.#undo()
      throw error
    }
  }

  /** Where the app's transactions are opened. On Postgres the savepoint that stands there is theirs: another would cost a round trip. */
  get #outer(): Session {
    const { inner } = this
    if (this.options.dialect === 'sqlite') return inner
    const nest: Session['nest'] = async (work, reach) => {
      try {
        return await asTransaction(inner, work, reach)
      } finally {
        if (this.#closedAt !== undefined) await never
      }
    }
    return { run: (statement) => inner.run(statement), nest }
  }

  /** What failed is undone here: on Postgres even where COMMIT itself could not do what it does. */
  async #committed<T>(work: (session: Session) => Promise<T>, reach?: string): Promise<T> {
    try {
      return await this.#keep(realCommit(this.#outer, this.options.rules, work, reach))
    } catch (error) {
      if (this.options.dialect === 'postgres') await this.#undo()
      throw error
    }
  }

  async #undo(): Promise<void> {
    await this.inner.run({ text: `rollback to savepoint ${step}`, params: [], shape: 'arrays' })
  }

  async #keep<T>(work: Promise<T>): Promise<T> {
    const result = await work
    if (this.options.dialect === 'postgres') this.#send(`release savepoint ${step}; savepoint ${step}`)
    return result
  }

  #send(text: string): void {
    this.inner.run({ text, params: [], shape: 'arrays' }).catch(() => {}) // the statement behind it fails too, and says so
  }

  /** A transaction of the app's. Where the app believes that it commits, everything that COMMIT would do is done. */
  async nest<T>(work: (inner: Session) => Promise<T>, reach?: string): Promise<T> {
    const mark = { of: this, open: true }
    const whole = () =>
      undoable((begin) => {
        const inside = (session: Session) => insideTransaction.run(mark, () => work(this.#within(session, 1, begin())))
        return this.options.level === 'fork' ? this.inner.nest(inside, reach) : this.#committed(inside, reach)
      })
    try {
      return await this.#alone('a transaction', whole)
    } finally {
      mark.open = false
    }
  }

  /** What the door opened, for what no statement can say (LISTEN, a reserved connection): only a fork has it to give. */
  get forked(): Session | undefined {
    return this.options.level === 'fork' ? this.opened : undefined
  }

  /** For drivers that do not wait. The inner session of such a door has its client at hand. */
  performSync<T>({ text, params, depth, outside }: SyncStatement, act: (client: Client) => T): T {
    this.#requireOpen(text || 'a transaction')
    const { level, rules, ledger } = this.options
    // Drizzle writes the savepoints of nested transactions itself.
    const nesting = depth > 0 && /^\s*(savepoint|release|rollback\s+to)\b/i.test(text)
    if (!nesting) this.#requirePossible(text)
    const { asked } = ledger
    const before = asked.length
    const startedAt = performance.now()
    let rows: readonly unknown[] | undefined
    let failure: unknown
    try {
      if (outside && level === 'savepoint') throw outerHandle(text)
      const alone = level === 'savepoint' && depth === 0 && text !== ''
      const commits = alone && needsCommit({ text, params, shape: 'arrays' }, rules)
      const result = commits ? this.commitSync(() => act(this.#client)) : act(this.#client)
      if (Array.isArray(result)) rows = result
      return result
    } catch (error) {
      failure = error
      throw error
    } finally {
      const ms = performance.now() - startedAt
      if (text !== '' || outside)
        ledger.record({
          text: text || 'a transaction',
          params,
          ms,
          depth,
          ...(rows && { rows }),
          ...(outside && { outside }),
          ...(failure !== undefined && { error: messageOf(failure) }),
        })
      if (text === '' && failure !== undefined) undo(asked.slice(before))
      const [, savepoint] = (nesting && /^\s*rollback\s+to\s+(?:savepoint\s+)?"?(\w+)/i.exec(text)) || []
      if (savepoint) undo(asked.slice(beginOf(savepoint, asked)))
    }
  }

  /** The app's outermost synchronous transaction, with what COMMIT would check and forget. */
  commitSync<T>(work: () => T, behaviour: 'deferred' | 'immediate' | 'exclusive' = 'deferred'): T {
    const { level, rules } = this.options
    const client = this.#client
    if (level === 'fork') return client.transaction(work)[behaviour]()
    const whole = () => {
      const result = work()
      checkDeferredSync(client, rules)
      return result
    }
    try {
      return client.transaction(whole)[behaviour]()
    } finally {
      deferNoMoreSync(client, rules)
    }
  }

  /** Runs `work` on a sandbox inside this one, and undoes all that it did to the database. */
  rewound<T>(work: (inner: Sandbox) => Promise<T>): Promise<T> {
    const around = insideRewind.getStore()
    if (around !== undefined && around !== this) return around.rewound(work)
    return this.#alone('a rewind', async () => {
      const result = Promise.withResolvers<T>()
      result.promise.catch(() => {}) // nobody waits for it before all is undone
      const undone = new Error('undone')
      await this.inner
        .nest(async (session) => {
          const inner = new Sandbox(session, { ...this.options, level: 'savepoint', isInRewind: true })
          const ground = groundOn(this.options.dialect, this.#patienceMs)
          if (ground !== undefined) inner.#send(ground)
          this.#rewinding = inner
          await insideRewind.run(inner, () => work(inner).then(result.resolve, result.reject))
          await inner.idle()
          this.#rewinding = undefined
          inner.close()
          throw undone
        })
        .catch((error) => {
          if (error !== undone) throw error
        })
      return await result.promise
    })
  }

  get #client(): Client {
    if ('client' in this.opened && this.opened.client instanceof Client) return this.opened.client
    throw new Error('This door has no synchronous client.')
  }

  get #patienceMs(): number {
    return this.options.patienceMs ?? usualPatienceMs
  }

  get busy(): boolean {
    return this.#rewinding?.busy ?? this.#turns.busy
  }

  /** What the database has not answered, in words for the person who waits for it. */
  get unanswered(): string[] {
    if (this.#rewinding) return this.#rewinding.unanswered
    return [...this.#asking].map(
      ({ text, outside }) =>
        `the database had not answered ${short(text)}${outside ? ', asked through the outer handle inside a transaction, whose locks it may wait for' : ''}`,
    )
  }

  /** Resolves when no statement runs or waits. */
  idle(): Promise<void> {
    return this.#rewinding?.idle() ?? this.#turns.idle()
  }

  /** From now on nothing gets in: what comes later was not awaited, and its error says whose it is. */
  close(): void {
    this.#closedAt ??= performance.now()
  }

  /**
   * What was under way when the test ended goes no further, and ends in no way either: on this connection, the next
   * statement, COMMIT or ROLLBACK would be the next test's.
   */
  #untilClosed(session: Session): Session {
    const closed = () => this.#closedAt !== undefined
    const gated = async <T>(work: () => Promise<T>): Promise<T> => {
      if (closed()) return await never
      try {
        return await work()
      } finally {
        if (closed()) await never
      }
    }
    const until: Session = {
      pipelines: session.pipelines ?? false,
      run: (statement) => (closed() ? never : session.run(statement)),
      nest: (work, reach) => session.nest((inner) => gated(() => work(this.#untilClosed(inner))), reach),
    }
    // For a sandbox inside this one, whose driver does not wait.
    return 'client' in session ? Object.assign(until, { client: session.client }) : until
  }

  #within(session: Session, depth: number, asked: LedgerStatement[]): Session {
    return {
      pipelines: session.pipelines ?? false,
      run: (statement) => {
        this.#requireOpen(statement.text)
        return this.#recorded(session, statement, depth, asked)
      },
      nest: (work) =>
        undoable((begin) => session.nest((deeper) => work(this.#within(deeper, depth + 1, begin()))), asked),
    }
  }

  async #recorded(
    session: Session,
    statement: Statement,
    depth: number,
    transaction?: LedgerStatement[],
  ): Promise<unknown[]> {
    const { text, params } = statement
    this.#requirePossible(text)
    const entry: LedgerStatement = { text, params, ms: 0, depth }
    if (depth === 0 && this.#isInTransaction()) entry.outside = true
    this.#asking.add(entry)
    transaction?.push(entry) // at once: the transaction may fail before the statement is answered
    const startedAt = performance.now()
    try {
      const rows = await session.run(statement)
      entry.rows = rows
      return rows
    } catch (error) {
      this.#explain(error)
      entry.error = messageOf(error)
      throw error
    } finally {
      this.#asking.delete(entry)
      entry.ms = performance.now() - startedAt
      this.options.ledger.record(entry)
    }
  }

  /** One thing at a time, where a transaction is one thing: interleaved savepoints would release and undo each other's work. */
  async #alone<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.#requireOpen(what)
    if (!this.#concurrent && this.#isInTransaction()) {
      const error = `The outer database handle was used inside a transaction (${short(what)}). On one connection it would wait for that transaction, and the transaction for it. Use the transaction's own handle.`
      this.options.ledger.record({ text: what, params: [], ms: 0, depth: 0, outside: true, error })
      throw new Error(error)
    }
    const late = () =>
      new Error(
        `${short(what)} waited ${this.#patienceMs} ms for a transaction of the same test: does the transaction await something that was started outside it?`,
      )
    const turn = this.#turns.begin(late)
    if (turn) await turn
    try {
      this.#requireOpen(what)
      return await work()
    } finally {
      this.#turns.end()
    }
  }

  #requirePossible(text: string): void {
    const { level, tolerated = [], isInRewind } = this.options
    if (level === 'savepoint') requireForkable(text, tolerated, isInRewind)
  }

  #isInTransaction(): boolean {
    const mark = insideTransaction.getStore()
    return mark?.of === this && mark.open
  }

  #requireOpen(what: string): void {
    if (this.#closedAt === undefined) return
    const { name, place } = this.options.test
    const lateMs = (performance.now() - this.#closedAt).toFixed(0)
    const error = new Error(
      `The test "${name}" (${place}) is over, and ${lateMs} ms later something that it started asked the database: ${short(what)}. Await it, or settle() before the test ends.`,
    )
    this.options.onLate?.(error)
    throw error
  }

  /** What has its reason in another test, of which the database knows nothing. */
  #explain(error: unknown): void {
    if (this.options.level === 'fork' || !(error instanceof Error) || !('code' in error)) return
    if (error.message === stalePlan)
      error.message += `. This test or one before it changed a table, which is undone, but not the plans that this connection made meanwhile. Give the one that did a database of its own: test(name, { isolation: 'fork' }, ...).`
    if (error.code !== lockNotAvailable && error.code !== deadlock) return
    const others = [...(this.options.neighbours ?? [])].filter((test) => test !== this.options.test)
    const named = others.slice(0, 5).map(({ name, place }) => `"${name}" (${place})`)
    error.message += `. A test keeps what it wrote locked until its end, and these ran at the same time: ${named.join(', ') || 'none'}${others.length > 5 ? ` and ${others.length - 5} more` : ''}. Give each its own values in unique columns and its own rows, run one of them with test.serial, or in a database of its own: test(name, { isolation: 'fork' }, ...).`
  }
}

const beginOf = (savepoint: string, asked: readonly LedgerStatement[]): number => {
  const begin = new RegExp(`^\\s*savepoint\\s+"?${savepoint}\\b`, 'i')
  return asked.findLastIndex(({ text }) => begin.test(text))
}

/** `text` is empty for a transaction; `outside` is what the outer handle asks while a transaction with its own is open. */
type SyncStatement = { text: string; params: readonly unknown[]; depth: number; outside: boolean }

const outerHandle = (text: string) =>
  new Error(
    `The outer database handle was used inside a transaction (${short(text || 'a transaction')}). With this driver it is the same connection; with any other it would not be part of the transaction. Use the transaction's own handle, or give the test a database of its own: test(name, { isolation: 'fork' }, ...).`,
  )

const stalePlan = 'cached plan must not change result type'
const lockNotAvailable = '55P03'
const deadlock = '40P01'
/** The savepoint that stands before each statement. */
const step = 'kit_step'
const never = new Promise<never>(() => {})

const short = (text: string) => {
  const one = text.replace(/\s+/g, ' ').trim()
  return one.length > 120 ? `${one.slice(0, 117)}...` : one
}
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
