import { drizzle as drizzlePostgres, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import { type AsyncRemoteCallback, drizzle as drizzleSqlite } from 'drizzle-orm/sqlite-proxy'
import type { Sql } from 'postgres'
import { dialect, dialectOf } from './dialect'
import { openPostgres } from './postgres'
import { Scope, type Statement } from './session'
import { openSqlite } from './sqlite'

/** The part of Drizzle that both dialects have. Queries join the ambient transaction, if there is one. */
type Queries = Pick<
  PostgresJsDatabase,
  'select' | 'selectDistinct' | 'insert' | 'update' | 'delete' | 'with' | '$with' | '$count'
>

export type Database = Queries & {
  /** Runs `work` in a transaction (a savepoint inside another): kept if it resolves, undone if it rejects. */
  transaction<T>(work: () => PromiseLike<T>): Promise<T>
}

/** An open database and how to close it. */
export type Connection = AsyncDisposable & {
  readonly database: Database
  /** The whole database as a scope: migrations and the test kit work on it directly. */
  readonly root: Scope
  /** Resolves when the database answers. */
  ping(): Promise<void>
}

export type ConnectOptions = { maxConnections?: number }

export function connect(url: string, { maxConnections = 10 }: ConnectOptions = {}): Connection {
  if (dialectOf(url) !== dialect) {
    throw new Error(
      `The tables were declared for ${dialect}: set DATABASE_URL before the program starts, not while it runs.`,
    )
  }
  return dialect === 'postgres' ? connectPostgres(url, maxConnections) : connectSqlite(url)
}

function connectSqlite(url: string): Connection {
  const { session, close } = openSqlite(url)
  const root = new Scope(session)
  return connection(root, sqliteQueries(statementRunner(root)), async () => close())
}

function connectPostgres(url: string, maxConnections: number): Connection {
  const { session, client, close } = openPostgres(url, { max: maxConnections, fetch_types: false })
  const root = new Scope(session)
  return connection(root, postgresQueries(client, statementRunner(root)), close)
}

function connection(root: Scope, queries: Queries, close: () => Promise<void>): Connection {
  return {
    root,
    database: Object.assign(queries, {
      transaction: <T>(work: () => PromiseLike<T>) => (Scope.current() ?? root).transaction(work),
    }),
    ping: async () => void (await (Scope.current() ?? root).run({ text: 'select 1', params: [], shape: 'arrays' })),
    [Symbol.asyncDispose]: close,
  }
}

type Run = (statement: Statement) => Promise<unknown[]>

const statementRunner =
  (root: Scope): Run =>
  (statement) =>
    (Scope.current() ?? root).run(statement)

/** Drizzle's Postgres driver over a client that has just what the driver calls (hence the cast): each query goes to the ambient scope. */
function postgresQueries(client: Sql, run: Run): Queries {
  const unsafe = (text: string, params: unknown[] = []) => ({
    // biome-ignore lint/suspicious/noThenProperty: postgres.js queries are thenables, and the driver awaits this one
    then: (...handlers: Parameters<Promise<unknown[]>['then']>) =>
      run({ text, params, shape: 'objects' }).then(...handlers),
    values: () => run({ text, params, shape: 'arrays' }),
  })
  return drizzlePostgres({ client: { options: client.options, unsafe } as unknown as Sql })
}

/** Drizzle's proxy driver, because its bun-sqlite driver is synchronous and could not wait for its turn. Typed as Postgres, as the tables are. */
function sqliteQueries(run: Run): Queries {
  const execute: AsyncRemoteCallback = async (text, params, method) => {
    const rows = await run({ text, params, shape: 'arrays' })
    return { rows: method === 'get' ? (rows[0] as unknown[]) : rows }
  }
  return drizzleSqlite(execute) as unknown as Queries
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
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (
      'code' in error &&
      (error.code === '23505' ||
        error.code === 'SQLITE_CONSTRAINT_UNIQUE' ||
        error.code === 'SQLITE_CONSTRAINT_PRIMARYKEY')
    )
      return true
  }
  return false
}
