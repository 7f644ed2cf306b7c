import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres, { type Sql } from 'postgres'
import { removeLeftovers, watchOverRun } from './leftovers'
import { embeddedPostgres } from './postgres-server'
import type { Dialect } from './sandbox'

/** The databases of one test run: made for it, never anybody else's, and removed after it. */
export type RunDatabase = AsyncDisposable & {
  readonly dialect: Dialect
  /** Where the run's database is; `sqlite::memory:` has no place. */
  readonly url: string
  /** Postgres only: makes the database as it is now the template of all forks. Nobody may be connected to it. */
  freeze(): Promise<void>
  /** Postgres only: a copy of the template. `keep` leaves it there for a look. */
  fork(): Promise<{ url: string; remove(options: { keep: boolean }): void }>
}

type Environment = Record<string, string | undefined>

/**
 * What kind of database: TESTING_DATABASE_URL, else DATABASE_URL, else SQLite in memory. `postgres:embedded` starts a real
 * PostgreSQL; on any other server a database `<name>_test_...` is made beside the one that the URL names, which is never
 * touched. `sqlite:<file>` means a file in a folder of the run's own. TESTING_KEEP_DATABASE=1 keeps them and says where.
 */
export async function openRunDatabase(env: Environment = process.env): Promise<RunDatabase> {
  const wanted = env.TESTING_DATABASE_URL || env.DATABASE_URL || 'sqlite::memory:'
  const keep = env.TESTING_KEEP_DATABASE === '1'
  if (wanted === 'postgres:embedded') {
    const server = await embeddedPostgres()
    const connect = (as: string) =>
      postgres({ host: server.socket, user: 'postgres', database: 'postgres', ...administering(as) })
    return await onServer(connect, 'embedded', server.url, { keep: false })
  }
  if (/^postgres(ql)?:\/\//.test(wanted)) {
    const url = new URL(wanted)
    const name = decodeURIComponent(url.pathname.slice(1)) || 'app'
    const at = (database: string) =>
      Object.assign(new URL(wanted), { pathname: `/${encodeURIComponent(database)}` }).href
    return await onServer((as) => connectTo(wanted, as), name, at, { keep, cleaner: wanted })
  }
  if (wanted === 'sqlite::memory:' || wanted === 'sqlite:') return sqlite('sqlite::memory:', async () => {})
  if (wanted.startsWith('sqlite:')) {
    const folder = mkdtempSync(join(tmpdir(), 'testing-sqlite-'))
    const url = `sqlite:${join(folder, 'test.db')}`
    if (keep) return sqlite(url, async () => console.error(`The run's database was kept: ${url}`))
    const watcher = watchOverRun('rm -rf "$0"', [folder])
    return sqlite(url, async () => {
      rmSync(folder, { recursive: true, force: true })
      watcher.dismiss()
    })
  }
  const from = env.TESTING_DATABASE_URL ? 'TESTING_DATABASE_URL' : 'DATABASE_URL'
  throw new Error(
    `${from} must be postgres:embedded, postgres://..., sqlite::memory: or sqlite:<file>; what it is begins with "${wanted.split(':', 1)[0]?.slice(0, 12)}".`,
  )
}

/** Does not end a connection by itself: the one that is open tells other runs that this one lives. */
const administering = (as: string): postgres.Options<Record<string, postgres.PostgresType>> => ({
  max: 2,
  fetch_types: false,
  onnotice() {},
  max_lifetime: null,
  connection: { application_name: as },
})

function connectTo(url: string, as: string): Sql {
  const address = new URL(url)
  const socket = address.searchParams.get('socket')
  address.searchParams.delete('socket')
  return postgres(address.href, { ...administering(as), ...(socket && { host: socket }) })
}

const sqlite = (url: string, close: () => Promise<void>): RunDatabase => ({
  dialect: 'sqlite',
  url,
  freeze: async () => {},
  fork: () => Promise.reject(new Error('A fork of SQLite is a copy of its bytes, made where it is open.')),
  [Symbol.asyncDispose]: close,
})

/** Copies that are ready before anybody asks for them. */
const readyForks = 2

async function onServer(
  connect: (as: string) => Sql,
  name: string,
  at: (database: string) => string,
  { keep, cleaner }: { keep: boolean; cleaner?: string },
): Promise<RunDatabase> {
  const prefix = `${name.slice(0, 24)}_test_`
  const main = `${prefix}${Date.now()}_${process.pid}`
  const admin = connect(main)
  const unanswered = (cause: unknown) => refuse('does not answer', cause, at(''))
  const role = (await bypassing(admin).catch(unanswered)) ? main : undefined // one that policies bind, and that owns the databases
  const template = `${main}_template`
  const create = (database: string, from?: string) =>
    admin.unsafe(
      `create database ${quoted(database)}${role ? ` owner ${quoted(role)}` : ''}${from ? ` template ${quoted(from)} strategy file_copy` : ''}`,
    )
  const drop = (database: string) => admin.unsafe(`drop database if exists ${quoted(database)} with (force)`)

  /** A setting that the server takes with the connection. */
  const asRole = (url: string): string => {
    const address = new URL(url)
    if (role !== undefined) address.searchParams.set('role', role)
    return address.href
  }

  let forks = 0
  let frozen = false
  const ready: Promise<string>[] = []
  const removals: Promise<unknown>[] = []
  const copy = async (): Promise<string> => {
    const fork = `${main}_${++forks}`
    await create(fork, template)
    return fork
  }

  await removeLeftovers(admin, prefix).catch(unanswered)
  if (role !== undefined) await admin.unsafe(`create role ${quoted(role)} createdb`)
  await create(main).catch((cause) => refuse('did not make a database for the tests', cause, at('')))
  // The program that removes leftovers, for a run that cannot do it any more.
  const watcher =
    cleaner !== undefined && !keep
      ? watchOverRun('exec "$0" "$1"', [process.execPath, `${import.meta.dir}/leftovers.ts`], {
          TESTING_LEFT: cleaner,
          TESTING_PREFIX: prefix,
        })
      : undefined
  return {
    dialect: 'postgres',
    url: asRole(at(main)),
    async freeze() {
      await create(template, main)
      frozen = true
    },
    async fork() {
      if (!frozen) throw new Error('There is no template yet.')
      const next = ready.shift() ?? copy()
      while (ready.length < readyForks) {
        const another = copy()
        another.catch(() => {}) // whoever takes it is told
        ready.push(another)
      }
      const fork = await next
      return {
        url: asRole(at(fork)),
        remove: (options) => {
          if (!keep && !options.keep) removals.push(drop(fork).catch(() => {}))
        },
      }
    },
    async [Symbol.asyncDispose]() {
      const unused = await Promise.all(ready)
      await Promise.all(removals)
      watcher?.dismiss()
      if (keep) console.error(`The run's database was kept: ${at(main)}`)
      else for (const database of [...unused, template, main]) await drop(database)
      if (role !== undefined) await admin.unsafe(`drop role if exists ${quoted(role)}`).catch(() => {}) // it owns what was kept
      await admin.end()
    },
  }
}

/** Row level security does not hold for a superuser, so tests that were one would show nothing of it. */
async function bypassing(admin: Sql): Promise<boolean> {
  const [found] = await admin.unsafe(
    'select rolsuper or rolbypassrls as bypasses from pg_roles where rolname = current_user',
  )
  return found?.bypasses === true
}

function refuse(what: string, cause: unknown, url: string): never {
  const { host, searchParams } = new URL(url)
  const said =
    cause instanceof Error ? cause.message || ('code' in cause && String(cause.code)) || cause.name : String(cause)
  throw new Error(
    `The database server at ${searchParams.get('socket') ?? host} ${what}: ${said}. Start it and let its user create databases, or choose another database for the tests: TESTING_DATABASE_URL=postgres:embedded or sqlite::memory:.`,
    { cause },
  )
}

const quoted = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`
