import { Database as Client, type SQLQueryBindings } from 'bun:sqlite'
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { SQLiteAsyncDialect } from 'drizzle-orm/sqlite-core'
import { type AsyncRemoteCallback, SQLiteRemoteSession, SqliteRemoteDatabase } from 'drizzle-orm/sqlite-proxy'
import type { DatabaseLoad, Queries, RunStatement } from './database'
import { groupCommit } from './group-commit'
import { waitingForLock } from './locked'
import { readRowsQuickly } from './rows'
import type { Session, Statement } from './session'

Client.MAX_QUERY_CACHE_SIZE = 500 // 20 by default, fewer than the distinct statements of a service

/** Opens `sqlite:<path>` (missing folders are made) or `sqlite::memory:`; or, in memory, a copy from its bytes. */
export function open(source: string | Uint8Array) {
  const path = typeof source === 'string' ? source.replace(/^sqlite:/, '') : ':memory:'
  if (path !== ':memory:') makeFile(path)
  const client =
    typeof source === 'string'
      ? new Client(path, { create: true, readwrite: true, strict: true })
      : Client.deserialize(source as Uint8Array<ArrayBuffer>)
  client.run('pragma busy_timeout = 5000') // first: switching to WAL already takes a lock
  client.run('pragma journal_mode = wal')
  client.run('pragma synchronous = normal')
  client.run('pragma foreign_keys = on')
  // 8000 pages (32 MB) of log before it is written back, because whoever commits then waits. By default it is 1000.
  client.run('pragma wal_autocheckpoint = 8000')
  client.run('pragma busy_timeout = 10') // what a lock takes longer is waited for in turns: see locked.ts
  return {
    session: sqliteSession(client),
    queries: queriesOver,
    serialize: (): Uint8Array => client.serialize(),
    load: (): DatabaseLoad =>
      path === ':memory:' ? {} : { files: { database: bytesOf(path), wal: bytesOf(`${path}-wal`) } },
    async close() {
      try {
        if (path !== ':memory:') client.run('pragma optimize')
      } catch {
        // Somebody else holds the file, or it cannot be written: its statistics stay as they are.
      }
      client.close()
    },
  }
}

/** Of a new file, with what SQLite puts beside it, only its owner may read what the tenants said. */
function makeFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch {
    // SQLite cannot open it either, and says why without its name.
  }
}

const bytesOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** Drizzle's proxy driver, because its bun-sqlite driver is synchronous and could not wait for its turn. Typed as Postgres, as the tables are. */
function queriesOver(run: RunStatement): Queries {
  const execute: AsyncRemoteCallback = async (text, params, method) => {
    const rows = await run({ text, params, shape: 'arrays' })
    return { rows: method === 'get' ? (rows[0] as unknown[]) : rows }
  }
  const dialect = new PlannedOnce()
  const session = new SQLiteRemoteSession(execute, dialect, undefined)
  readRowsQuickly(session, 'all', run)
  return new SqliteRemoteDatabase('async', dialect, session, undefined) as unknown as Queries
}

/**
 * SQLite plans a prepared statement again when a value is bound to a parameter that its planner has looked at, as in
 * `limit ?`, and that takes longer than to run it. It does not look behind a `+`, which changes no value.
 */
class PlannedOnce extends SQLiteAsyncDialect {
  override escapeParam(): string {
    return '+?'
  }
}

/** SQLite has one writer, so there is one connection, and its transactions run in turn. */
function sqliteSession(client: Client): Session {
  const whenFree = waitingForLock()
  return groupCommit({
    run: (statement) => whenFree(() => ask(client, statement)),
    inner: innerSession(client, 1),
    begin: async () => void (await whenFree(() => client.query('begin immediate').run(), { locks: true })),
    commit: () => void client.query('commit').run(),
    rollback: () => {
      if (client.inTransaction) client.query('rollback').run()
    },
    written: () => client.query<[number], []>('select total_changes()').values()[0]?.[0] as number,
  })
}

/** Inside a transaction: `depth` counts it and the savepoints in it. */
function innerSession(client: Client, depth: number): Session {
  const savepoint = `s${depth}`
  /** A full disk, among others, makes SQLite undo the whole transaction: what follows must not be committed by itself. */
  const requireTransaction = () => {
    if (!client.inTransaction) throw new Error('The database has undone the whole transaction')
  }

  return {
    async run(statement: Statement) {
      requireTransaction()
      return ask(client, statement)
    },
    async nest(work) {
      requireTransaction()
      client.query(`savepoint ${savepoint}`).run()
      try {
        const result = await work(innerSession(client, depth + 1))
        client.query(`release ${savepoint}`).run()
        return result
      } catch (error) {
        if (client.inTransaction) {
          client.query(`rollback to ${savepoint}`).run()
          client.query(`release ${savepoint}`).run()
        }
        throw error
      }
    },
  }
}

function ask(client: Client, { text, params, shape }: Statement): unknown[] {
  const statement = client.query<unknown, SQLQueryBindings[]>(text)
  const bindings = params as SQLQueryBindings[]
  return shape === 'arrays' ? statement.values(...bindings) : statement.all(...bindings)
}
