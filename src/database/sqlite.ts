import { Database as Client, type SQLQueryBindings } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Session, Statement } from './session'

Client.MAX_QUERY_CACHE_SIZE = 500 // 20 by default, fewer than the distinct statements of a service

/** Opens `sqlite:<path>` or `sqlite::memory:`; missing folders are made. */
export function openSqlite(url: string): { session: Session; client: Client; close(): void } {
  const path = url.replace(/^sqlite:/, '')
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true })
  const client = new Client(path, { create: true, readwrite: true, strict: true })
  client.run('pragma busy_timeout = 5000') // first: switching to WAL already takes a lock
  client.run('pragma journal_mode = wal')
  client.run('pragma synchronous = normal')
  client.run('pragma foreign_keys = on')
  return {
    session: sqliteSession(client),
    client,
    close: () => {
      if (path !== ':memory:') client.run('pragma optimize')
      client.close()
    },
  }
}

/** SQLite has one writer, so the connection is one session, and depth counts the savepoints inside its transaction. */
export function sqliteSession(client: Client, depth = 0): Session {
  const savepoint = `s${depth}`
  const [begin, commit, rollback] =
    depth === 0
      ? ['begin immediate', 'commit', ['rollback']]
      : [`savepoint ${savepoint}`, `release ${savepoint}`, [`rollback to ${savepoint}`, `release ${savepoint}`]]

  return {
    async run({ text, params, shape }: Statement) {
      const statement = client.query<unknown, SQLQueryBindings[]>(text)
      const bindings = params as SQLQueryBindings[]
      return shape === 'arrays' ? statement.values(...bindings) : statement.all(...bindings)
    },
    async nest(work) {
      client.query(begin).run()
      try {
        const result = await work(sqliteSession(client, depth + 1))
        client.query(commit).run()
        return result
      } catch (error) {
        if (client.inTransaction) for (const step of rollback) client.query(step).run()
        throw error
      }
    },
  }
}
