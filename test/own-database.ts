import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Connection, connect } from '../src/database/database'
import { dialect } from '../src/database/dialect'
import { migrate } from '../src/database/migrate'

/** An empty database beside the run's, on the run's dialect, without tables; removed when it is disposed of. */
export async function emptyDatabase(): Promise<AsyncDisposable & { url: string; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'own-database-'))
  const removeFolder = () => rmSync(folder, { recursive: true, force: true })
  if (dialect === 'sqlite') {
    return { url: `sqlite:${join(folder, 'own.db')}`, folder, [Symbol.asyncDispose]: async () => removeFolder() }
  }
  const url = new URL(process.env.DATABASE_URL ?? '')
  // Named like the run's own, so that a run that crashed is cleaned up after by the next.
  const name = `${url.pathname.slice(1).replace(/_test_.*$/, '')}_test_${Date.now()}_${Math.floor(Math.random() * 1e9)}`
  await administer(`create database "${name}"`)
  url.pathname = `/${name}`
  return {
    url: url.href,
    folder,
    [Symbol.asyncDispose]: async () => {
      await administer(`drop database "${name}" with (force)`)
      removeFolder()
    },
  }
}

/** The same with all tables, and a connection to it. Use it outside the kit's `test`, whose sandbox would take its queries. */
export async function ownDatabase(): Promise<Connection & { url: string }> {
  const empty = await emptyDatabase()
  const connection = connect(empty.url)
  await migrate(connection.root)
  return {
    ...connection,
    url: empty.url,
    [Symbol.asyncDispose]: async () => {
      await connection[Symbol.asyncDispose]()
      await empty[Symbol.asyncDispose]()
    },
  }
}

async function administer(text: string): Promise<void> {
  await using connection = connect(process.env.DATABASE_URL ?? '', { maxConnections: 1 })
  await connection.root.session.run({ text, params: [], shape: 'arrays' })
}

/** Raw SQL, for what the app never asks. */
export const rowsOf = async (connection: Connection, text: string) =>
  (await connection.root.session.run({ text, params: [], shape: 'objects' })) as Record<string, unknown>[]

/** Every row of every table that the database says it has, those included that tables.ts does not know. */
export async function everything(connection: Connection): Promise<Record<string, Record<string, unknown>[]>> {
  const tables = await rowsOf(
    connection,
    dialect === 'sqlite'
      ? "select name from sqlite_schema where type = 'table' order by name"
      : "select tablename as name from pg_tables where schemaname = 'public' order by name",
  )
  const all: Record<string, Record<string, unknown>[]> = {}
  for (const { name } of tables) all[String(name)] = await rowsOf(connection, `select * from "${name}"`)
  return all
}
