import { Database as Client, type DatabaseOptions, type SQLQueryBindings } from 'bun:sqlite'
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Session, Statement } from '../database/session'
import type { Door } from './door'
import { Sandbox } from './sandbox'

/**
 * The door of an ordinary app on `drizzle-orm/bun-sqlite`, whose queries and transactions are synchronous. Give the app
 * `database` where it would have made its own:
 *
 *     const { door, database } = drizzleSqlite((client) => drizzle(client, { schema }))
 *
 * What `make` sets on the client (pragmas, extensions) is set on every database of the run, and nothing else is: foreign
 * keys are off unless it says `pragma foreign_keys = on`, as they are for the app. `options` are those that the app opens
 * its database with.
 */
export function drizzleSqlite<Db extends { transaction(...args: never[]): unknown }>(
  make: (client: Client) => Db,
  options: Pick<DatabaseOptions, 'strict' | 'safeIntegers'> = {},
): { door: Door; database: Db } {
  const ambient = new AsyncLocalStorage<Session>()
  const settings: Setting[] = []
  const client = clientOver(() => ambient.getStore(), settings)
  const database = make(client as unknown as Client)
  guardTransactions(database, (mark) => clientOver(() => ambient.getStore(), settings, mark))

  return {
    database,
    door: {
      open(source) {
        if (typeof source === 'string' && /^postgres(ql)?:/.test(source)) throw otherDialect()
        const client =
          typeof source === 'string'
            ? new Client(source.replace(/^sqlite:/, ''), { create: true, readwrite: true, ...options })
            : Client.deserialize(source as Uint8Array<ArrayBuffer>, options)
        for (const set of settings) set(client)
        return { session: new SyncSession(client), serialize: () => client.serialize(), close: () => client.close() }
      },
      enter: (session, work) => ambient.run(session, work),
    },
  }
}

type Setting = (client: Client) => void

/** A session on bun:sqlite whose client can be asked directly, because the app's driver does not wait. */
export class SyncSession implements Session {
  constructor(
    readonly client: Client,
    private readonly depth = 0,
  ) {}

  async run({ text, params, shape }: Statement): Promise<unknown[]> {
    const statement = this.client.query<unknown, SQLQueryBindings[]>(text)
    const bindings = params as SQLQueryBindings[]
    return shape === 'arrays' ? statement.values(...bindings) : statement.all(...bindings)
  }

  async nest<T>(work: (inner: Session) => Promise<T>): Promise<T> {
    const name = `kit${this.depth}`
    this.client.query(this.depth === 0 ? 'begin immediate' : `savepoint ${name}`).run()
    try {
      const result = await work(new SyncSession(this.client, this.depth + 1))
      this.client.query(this.depth === 0 ? 'commit' : `release ${name}`).run()
      return result
    } catch (error) {
      if (this.client.inTransaction) {
        for (const step of this.depth === 0 ? ['rollback'] : [`rollback to ${name}`, `release ${name}`])
          this.client.query(step).run()
      }
      throw error
    }
  }
}

/** A synchronous transaction of the app's. */
type Mark = {
  open: boolean
  depth: number
  /** Whether it has a handle of its own, as those of Drizzle do. */
  ownHandle: boolean
  /** Whether it got an async function, which goes on when all is over. */
  async: boolean
}

/** What a transaction started carries its mark, so that it is recognised when it comes back later. */
const inTransaction = new AsyncLocalStorage<Mark>()

/**
 * A client whose statements find the running test's database at every call: the app's, or with `own` the one behind the
 * handle of a transaction. Typed by what Drizzle and apps use of it.
 */
function clientOver(find: () => Session | undefined, settings: Setting[], own?: Mark): object {
  const open = (): Mark | undefined => {
    const mark = own ?? inTransaction.getStore()
    if (mark?.open) return mark
    if (mark?.async) throw asyncTransaction()
    if (own) throw new Error('This transaction is over: its handle is of no use any more.')
    return undefined
  }
  /** The outer handle is the same connection here; a savepoint test holds it to what is true on every other driver. */
  const isOuter = (mark: Mark | undefined) => own === undefined && mark?.ownHandle === true

  const perform = <T>(text: string, params: readonly unknown[], outer: boolean, act: (client: Client) => T): T => {
    const session = find()
    const mark = open()
    if (session instanceof SyncSession) return act(session.client)
    if (!(session instanceof Sandbox)) throw outsideTest(text)
    return session.performSync({ text, params, depth: mark?.depth ?? 0, outside: outer && mark !== undefined }, act)
  }

  const statement = (text: string, as?: new (...args: unknown[]) => unknown): object => {
    // One that was prepared before the transaction has no other handle to go through.
    const outer = isOuter(inTransaction.getStore())
    const ask =
      (method: 'run' | 'all' | 'get' | 'values') =>
      (...params: SQLQueryBindings[]): unknown => {
        if (!find() && isPragma(text)) return void settings.push((client) => client.run(text))
        return perform(text, params, outer, (client) => {
          const found = as ? client.prepare(text).as(as) : client.query(text)
          return (found[method] as (...params: SQLQueryBindings[]) => unknown)(...params)
        })
      }
    const all = ask('all') as (...params: SQLQueryBindings[]) => unknown[]
    return {
      run: ask('run'),
      get: ask('get'),
      values: ask('values'),
      all,
      iterate: (...params: SQLQueryBindings[]) => all(...params).values(),
      as: (type: new (...args: unknown[]) => unknown) => statement(text, type),
      finalize: () => {},
      toString: () => text,
    }
  }

  const execute = (text: string, ...params: SQLQueryBindings[][]): unknown => {
    if (!find() && isPragma(text)) return void settings.push((client) => client.run(text))
    return perform(text, params, isOuter(inTransaction.getStore()), (client) => client.run(text, ...params))
  }

  const transaction = (work: (...args: unknown[]) => unknown) => {
    const as =
      (behaviour: 'deferred' | 'immediate' | 'exclusive') =>
      (...args: unknown[]): unknown => {
        const around = open()
        const session = find()
        const mark: Mark = { open: true, depth: (around?.depth ?? 0) + 1, ownHandle: false, async: false }
        const whole = () => {
          const result = inTransaction.run(mark, () => work(...args))
          if (isThenable(result)) throw refused(result, mark)
          return result
        }
        try {
          return perform('', [], isOuter(around), (client) =>
            session instanceof Sandbox && !around
              ? session.commitSync(whole, behaviour)
              : client.transaction(whole)[behaviour](),
          )
        } finally {
          mark.open = false
        }
      }
    return Object.assign(as('deferred'), {
      deferred: as('deferred'),
      immediate: as('immediate'),
      exclusive: as('exclusive'),
    })
  }

  return {
    prepare: (text: string) => statement(text),
    query: (text: string) => statement(text),
    run: execute,
    exec: execute,
    transaction,
    get inTransaction() {
      return open() !== undefined
    },
    loadExtension: (...args: Parameters<Client['loadExtension']>) =>
      void settings.push((client) => client.loadExtension(...args)),
    serialize: () => perform('', [], false, (client) => client.serialize()),
    close: () => {},
  }
}

/** A transaction of Drizzle's, by its parts; not in its types. */
type Transaction = {
  constructor: new (...parts: unknown[]) => Transaction
  dialect: unknown
  session: object
  schema: unknown
  nestedIndex: number
  transaction(work: Work, ...config: unknown[]): unknown
}
type Work = (tx: Transaction) => unknown

/** Drizzle keeps from its client what a transaction's function returned and which handle asks, so both are looked at here. */
function guardTransactions(database: object, clientOf: (mark: Mark) => object): void {
  const guard = (handle: Pick<Transaction, 'transaction'>, mark?: Mark) => {
    const original = handle.transaction.bind(handle)
    handle.transaction = (work, ...config) =>
      original(
        (tx) => {
          const inner = mark ?? inTransaction.getStore()
          if (!inner) return work(tx)
          // A nested one has the session of the one around it, and with it its client.
          const session = mark ? tx.session : withClient(tx.session, clientOf(inner))
          const own = new tx.constructor('sync', tx.dialect, session, tx.schema, tx.nestedIndex)
          guard(own, inner)
          inner.ownHandle = true
          if (mark) inner.depth++
          try {
            const result = work(own)
            if (isThenable(result)) throw refused(result, inner)
            return result
          } finally {
            if (mark) inner.depth--
          }
        },
        ...config,
      )
  }
  guard(database as Transaction)
}

const withClient = (session: object, client: object): object =>
  Object.assign(Object.create(Object.getPrototypeOf(session)), session, { client })

/** What the function does from here on is refused statement by statement; nobody is there to hear of it. */
function refused(result: PromiseLike<unknown>, mark: Mark): Error {
  mark.async = true
  result.then(undefined, () => {})
  // As many frames as bun shows are the kit's and Drizzle's; whose function it was stands below them.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 30
  const error = asyncTransaction()
  Error.stackTraceLimit = stackTraceLimit
  return error
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

const otherDialect = () =>
  new Error(
    'drizzleSqlite opens SQLite only, and the database of this run is PostgreSQL: set TESTING_DATABASE_URL to sqlite::memory: or sqlite:<file>.',
  )

const isPragma = (text: string) => /^\s*pragma\b/i.test(text)

const asyncTransaction = () =>
  new Error(
    'A transaction of drizzle-orm/bun-sqlite got an async function. It would be committed at the first await, and nothing after that would be undone. Make the function synchronous: .run(), .all(), .get() instead of await.',
  )

const outsideTest = (text: string) =>
  new Error(
    `The database was used outside a test of the kit (${text || 'a transaction'}). Migrations go into \`prepare\`, rows for all tests into \`seed\`.`,
  )
