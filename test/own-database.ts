import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Connection, connect } from '../src/database/database'
import { dialect } from '../src/database/dialect'
import { migrate } from '../src/database/migrate'
import { acrossTenants } from '../src/database/reach'
import { Scope, type Session } from '../src/database/session'
import { readCommitRules } from '../src/testing/commit'
import { Held } from '../src/testing/held'
import { Ledger } from '../src/testing/ledger'
import { groundOn, Sandbox } from '../src/testing/sandbox'

// A server of the run's own is still starting while files are read; with the kit it is there, and so is the run's role.
if (dialect === 'postgres') await import('./kit')

let made = 0

/** An empty database beside the run's, on the run's dialect, without tables; removed when it is disposed of. */
export async function emptyDatabase(): Promise<AsyncDisposable & { url: string; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'own-database-'))
  const removeFolder = () => rmSync(folder, { recursive: true, force: true })
  if (dialect === 'sqlite') {
    return { url: `sqlite:${join(folder, 'own.db')}`, folder, [Symbol.asyncDispose]: async () => removeFolder() }
  }
  const url = new URL(process.env.DATABASE_URL ?? '')
  // Named after the run's own, so that it goes with that when the run crashes.
  const name = `${url.pathname.slice(1)}_own_${made++}`
  await administer(`create database "${name}"`)
  url.pathname = `/${name}`
  return {
    url: url.href,
    folder,
    [Symbol.asyncDispose]: async () => {
      await administer(`drop database "${name}" with (force)`, withoutRole)
      removeFolder()
    },
  }
}

/**
 * The same with all tables, and a connection to it. Use it outside the kit's `test`, whose sandbox would take its queries.
 * With `unbound`, what says nothing of its tenant is about all of them: for tests of other things.
 */
export async function ownDatabase({ unbound = false } = {}): Promise<Connection & { url: string }> {
  const empty = await emptyDatabase()
  const connection = connect(empty.url)
  await migrate(connection.root)
  if (unbound) Object.assign(connection.root, { session: withoutBounds(connection.root.session) })
  return {
    ...connection,
    url: empty.url,
    [Symbol.asyncDispose]: async () => {
      await connection[Symbol.asyncDispose]()
      await empty[Symbol.asyncDispose]()
    },
  }
}

const withoutBounds = (session: Session): Session => ({
  ...session,
  run: (statement) => session.run({ ...statement, reach: statement.reach || 'all' }),
  nest: (work, reach) => session.nest(work, reach || 'all'),
})

/** What the kit puts between an app and its database: a place in a held transaction that looks like all of it. */
export async function sandboxIn({ root }: Connection, patienceMs = 5000) {
  const rules = await readCommitRules(root.session, dialect)
  const held = await Held.open(root.session, groundOn(dialect, patienceMs))
  const sandbox = new Sandbox(held.session, {
    dialect,
    level: 'savepoint',
    test: { name: 'a test', place: 'a.test.ts:1' },
    ledger: new Ledger(),
    rules,
    patienceMs,
  })
  return {
    enter: <T>(work: () => PromiseLike<T>): Promise<T> => seeingAll(() => new Scope(sandbox).enter(work)),
    rollback: async () => {
      await sandbox.idle()
      sandbox.close()
      await held.rollback()
    },
  }
}

/** What a process that was killed still has open is its user's, whatever role it took; only that user may close it. */
const withoutRole = (url: URL) => url.searchParams.delete('role')

async function administer(text: string, adapt: (url: URL) => void = () => {}): Promise<void> {
  const url = new URL(process.env.DATABASE_URL ?? '')
  adapt(url)
  await using connection = connect(url.href, { maxConnections: 1 })
  await connection.root.session.run({ text, params: [], shape: 'arrays' })
}

/** Raw SQL, for what the app never asks, about the rows of every tenant. */
export const rowsOf = async (connection: Connection, text: string) =>
  (await connection.root.session.run({ text, params: [], shape: 'objects', reach: 'all' })) as Record<string, unknown>[]

/** For a test without the kit, whose own queries are about the rows of every tenant. */
export const overAll = (body: () => Promise<void>) => () => seeingAll(body)

export const seeingAll = <T>(work: () => PromiseLike<T>): Promise<T> => acrossTenants('a test sees everything', work)

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
