import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import { failureCode } from '../errors'
import { dialect, dialectOf } from './dialect'
import { Scope, type Statement } from './session'

// Only the driver that is needed: the other one would make every start longer.
const { open } = dialect === 'postgres' ? await import('./postgres') : await import('./sqlite')

/** The part of Drizzle that both dialects have. Queries join the ambient transaction, if there is one. */
export type Queries = Pick<
  PostgresJsDatabase,
  'select' | 'selectDistinct' | 'insert' | 'update' | 'delete' | 'with' | '$with' | '$count'
>

export type RunStatement = (statement: Statement) => Promise<unknown[]>

export type Database = Queries & {
  /** Runs `work` in a transaction (a savepoint inside another): kept if it resolves, undone if it rejects. It may be undone and run again, on both databases. */
  transaction<T>(work: () => PromiseLike<T>): Promise<T>
  /** Calls `work` when the ambient transaction, with all that it is inside of, is committed; at once where there is none. */
  afterCommit(work: () => void): void
}

/** How much of the database is in use. */
export type DatabaseLoad = {
  /** Postgres only. `inFlight`: statements and transactions under way, also those that wait for a connection. */
  readonly pool?: { readonly size: number; readonly inFlight: number }
  /** SQLite only, and not in memory: sizes in bytes. */
  readonly files?: { readonly database: number; readonly wal: number }
}

/** An open database and how to close it. */
export type Connection = AsyncDisposable & {
  readonly database: Database
  /** The whole database as a scope: migrations and the test kit work on it directly. */
  readonly root: Scope
  /** SQLite only: all of it as bytes. */
  serialize?(): Uint8Array
  /** Resolves when the database answers. */
  ping(): Promise<void>
  load(): DatabaseLoad
}

export type ConnectOptions = { maxConnections?: number }

/** Connects to a URL, or to a copy in memory of an SQLite database from its bytes. */
export function connect(source: string | Uint8Array, { maxConnections = 10 }: ConnectOptions = {}): Connection {
  if (dialectOf(typeof source === 'string' ? source : 'sqlite:') !== dialect) {
    throw new Error(
      `The tables were declared for ${dialect}: set DATABASE_URL before the program starts, not while it runs.`,
    )
  }
  const { session, queries, serialize, load, close } = open(source, maxConnections)
  const root = new Scope(session)
  const here = () => Scope.current() ?? root
  return {
    root,
    database: Object.assign(
      queries((statement) => here().run(statement)),
      {
        transaction: <T>(work: () => PromiseLike<T>) => here().transaction(work),
        afterCommit: (work: () => void) => here().afterCommit(work),
      },
    ),
    ...(serialize && { serialize }),
    ping: async () => void (await here().run({ text: 'select 1', params: [], shape: 'arrays' })),
    load,
    [Symbol.asyncDispose]: close,
  }
}

/** A value made once for each database, for prepared queries: building SQL costs ten times what SQLite takes to run it. */
export function oncePerDatabase<T extends object>(make: (database: Database) => T): (database: Database) => T {
  const made = new WeakMap<Database, T>()
  return (database) => {
    const found = made.get(database) ?? make(database)
    made.set(database, found)
    return found
  }
}

/** True where a unique or primary key refused a row, in either dialect. */
export function isUniqueViolation(thrown: unknown): boolean {
  return /^(23505|SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY))$/.test(failureCode(thrown) ?? '')
}
