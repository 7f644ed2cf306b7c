import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { embeddedPostgres } from './postgres-server'

/** The database of one test run: made for it, and removed after it. */
export type RunDatabase = AsyncDisposable & { readonly url: string }

/**
 * A database of this run's own. What kind: TESTING_DATABASE_URL, else DATABASE_URL, else SQLite in memory.
 * `postgres:embedded` starts a real PostgreSQL; on any other server a database `<name>_test_...` is made beside the one
 * that the URL names, which is never touched. `sqlite:<file>` means a file in a folder of the run's own.
 */
export async function openRunDatabase(env: Record<string, string | undefined> = process.env): Promise<RunDatabase> {
  const wanted = env.TESTING_DATABASE_URL || env.DATABASE_URL || 'sqlite::memory:'
  if (wanted === 'postgres:embedded') {
    const server = await embeddedPostgres()
    const admin = postgres({
      host: server.socket,
      user: 'postgres',
      database: 'postgres',
      max: 1,
      fetch_types: false,
      onnotice() {},
    })
    return await ownDatabase(admin, 'embedded', server.url)
  }
  if (/^postgres(ql)?:\/\//.test(wanted)) {
    const url = new URL(wanted)
    const admin = postgres(wanted, { max: 1, fetch_types: false, onnotice() {} })
    return await ownDatabase(admin, decodeURIComponent(url.pathname.slice(1)) || 'app', (database) => {
      url.pathname = `/${database}`
      return url.href
    })
  }
  if (wanted === 'sqlite::memory:' || wanted === 'sqlite:')
    return { url: 'sqlite::memory:', [Symbol.asyncDispose]: async () => {} }
  if (wanted.startsWith('sqlite:')) {
    const folder = mkdtempSync(join(tmpdir(), 'testing-sqlite-'))
    return {
      url: `sqlite:${join(folder, 'test.db')}`,
      [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
    }
  }
  throw new Error('TESTING_DATABASE_URL must be postgres:embedded, postgres://..., sqlite::memory: or sqlite:<file>.')
}

async function ownDatabase(admin: Sql, name: string, url: (database: string) => string): Promise<RunDatabase> {
  const prefix = `${name.slice(0, 30)}_test_`
  await removeLeftovers(admin, prefix)
  const own = `${prefix}${Date.now()}_${process.pid}`
  await admin.unsafe(`create database ${quoted(own)}`)
  return {
    url: url(own),
    [Symbol.asyncDispose]: async () => {
      await admin.unsafe(`drop database if exists ${quoted(own)} with (force)`)
      await admin.end()
    },
  }
}

/** Databases of runs that ended without cleaning up: made over an hour ago, and nobody is connected. */
async function removeLeftovers(admin: Sql, prefix: string): Promise<void> {
  const found = await admin<{ datname: string }[]>`
    select datname from pg_database
    where starts_with(datname, ${prefix}) and not exists (select from pg_stat_activity where pg_stat_activity.datname = pg_database.datname)`
  const hourMs = 60 * 60 * 1000
  for (const { datname } of found) {
    const madeAt = /_test_(\d{13})_\d+$/.exec(datname)?.[1]
    if (madeAt && Date.now() - Number(madeAt) > hourMs) await admin.unsafe(`drop database if exists ${quoted(datname)}`)
  }
}

const quoted = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`
