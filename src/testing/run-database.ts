import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Options, PostgresType, Sql } from 'postgres'
import { type KeptTables, keptTables } from './kept-tables'
import { removeLeftovers, watchOverRun } from './leftovers'
import { postgres } from './postgres-client'
import { embeddedPostgres } from './postgres-server'
import type { Dialect } from './sandbox'
import { hashOf, keptTemplate } from './template'

/** The databases of one test run: made for it, never anybody else's, and removed after it. */
export type RunDatabase = AsyncDisposable & {
  readonly dialect: Dialect
  /** Where the run's database is; `sqlite::memory:` has no place. */
  readonly url: string
  /** SQLite in memory only, where `madeFrom` says what the tables are made from. */
  readonly kept?: KeptTables | undefined
  /**
   * Postgres only: makes the run's database. `prepare` is called with the URL of an empty one, unless an earlier run has
   * kept one with the same tables.
   */
  create(prepare: (url: string) => Promise<void>): Promise<void>
  /** Postgres only: makes the database as it is now the template of all forks. Nobody may be connected to it. */
  freeze(): Promise<void>
  /** Postgres only: a copy of the template. `keep` leaves it there for a look; what is returned then is its URL. */
  fork(): Promise<{ url: string; remove(options: { keep: boolean }): string | undefined }>
}

export type RunOptions = {
  /**
   * All that the tables are made from: files and folders, such as Drizzle's migrations. A database with these tables and
   * no rows is then kept for later runs: on Postgres as the template `<name>_test_<hash of these files>`, of SQLite in
   * memory as a file in the temp folder.
   */
  madeFrom?: readonly string[]
  env?: Record<string, string | undefined>
}

/**
 * What kind of database: TESTING_DATABASE_URL, else DATABASE_URL, else SQLite in memory. `postgres:embedded` starts a real
 * PostgreSQL; on any other server a database `<name>_test_...` is made beside the one that the URL names, which is never
 * touched. `sqlite:<file>` means a file in a folder of the run's own. TESTING_KEEP_DATABASE=1 keeps them and says where.
 */
export async function openRunDatabase({ madeFrom, env = process.env }: RunOptions = {}): Promise<RunDatabase> {
  const wanted = env.TESTING_DATABASE_URL || env.DATABASE_URL || 'sqlite::memory:'
  const keep = env.TESTING_KEEP_DATABASE === '1'
  const hash = madeFrom && hashOf(madeFrom)
  if (wanted === 'postgres:embedded') {
    const { socket, started, url: at, keep: keepServer } = embeddedPostgres(hash)
    const names = namesFor('embedded')
    const admin = postgres({ host: socket, user: 'postgres', database: 'postgres', ...administering(names.main) })
    return onServer({ ...names, admin, at, started, bypasses: true, keepServer }, { keep: false, hash })
  }
  if (/^postgres(ql)?:\/\//.test(wanted)) {
    const names = namesFor(decodeURIComponent(new URL(wanted).pathname.slice(1)) || 'app')
    const at = (database: string) =>
      Object.assign(new URL(wanted), { pathname: `/${encodeURIComponent(database)}` }).href
    const admin = connectTo(wanted, names.main)
    const bypasses = await isUnbound(admin).catch((cause) => refuse('does not answer', cause, at('')))
    return onServer({ ...names, admin, at, bypasses, cleaner: wanted }, { keep, hash })
  }
  if (wanted === 'sqlite::memory:' || wanted === 'sqlite:')
    return { ...sqlite('sqlite::memory:', async () => {}), kept: hash === undefined ? undefined : keptTables(hash) }
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

const namesFor = (name: string) => {
  const prefix = `${name.slice(0, 24)}_test_`
  return { prefix, main: `${prefix}${Date.now()}_${process.pid}` }
}

/** Does not end a connection by itself: the one that is open tells other runs that this one lives. */
const administering = (as: string): Options<Record<string, PostgresType>> => ({
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
  create: async () => {},
  freeze: async () => {},
  fork: () => Promise.reject(new Error('A fork of SQLite is a copy of its bytes, made where it is open.')),
  [Symbol.asyncDispose]: close,
})

/** Copies that are ready before anybody asks for them. */
const readyForks = 2

type Server = {
  /** The names of all databases begin with `prefix`; `main` is the run's own, and what its connections are called. */
  prefix: string
  main: string
  admin: Sql
  at(database: string): string
  started?: Promise<void>
  /** Row level security does not hold for its user, who is to be another one in tests then. */
  bypasses: boolean
  /** Where whoever removes what a killed run left connects to; a server of the run's own goes with it. */
  cleaner?: string
  keepServer?: () => void
}

function onServer(
  { prefix, main, admin, at, started, bypasses, cleaner, keepServer }: Server,
  { keep, hash }: { keep: boolean; hash: string | undefined },
): RunDatabase {
  const kept = hash === undefined ? undefined : `${prefix}${hash}`
  const role = bypasses ? (kept ?? main) : undefined // one that policies bind, and that owns the databases
  const template = `${main}_template`

  /** A setting that the server takes with the connection. */
  const asRole = (url: string): string => {
    const address = new URL(url)
    if (role !== undefined) address.searchParams.set('role', role)
    return address.href
  }

  const begin = async (): Promise<void> => {
    await started
    await removeLeftovers(admin, prefix)
    if (role === main) await admin.unsafe(`create role ${quoted(main)} createdb`)
  }
  // What the embedded server says of itself is all that there is to say.
  const begun = begin().catch((cause) => (started ? Promise.reject(cause) : refuse('does not answer', cause, at(''))))
  begun.catch(() => {}) // told to whoever makes the database
  const create = (database: string, from?: string) =>
    admin.unsafe(
      `create database ${quoted(database)}${role ? ` owner ${quoted(role)}` : ''}${from ? ` template ${quoted(from)} strategy file_copy` : ''}`,
    )
  const drop = (database: string) => admin.unsafe(`drop database if exists ${quoted(database)} with (force)`)

  // The program that removes leftovers, for a run that cannot do it any more.
  const watcher =
    cleaner !== undefined && !keep
      ? watchOverRun('exec "$0" "$1"', [process.execPath, `${import.meta.dir}/leftovers.ts`], {
          TESTING_LEFT: cleaner,
          TESTING_PREFIX: prefix,
        })
      : undefined

  let isNew = false
  let forks = 0
  let frozen = false
  const ready: Promise<string>[] = []
  const removals: Promise<unknown>[] = []
  const copy = async (): Promise<string> => {
    const fork = `${main}_${++forks}`
    await create(fork, template)
    return fork
  }

  return {
    dialect: 'postgres',
    url: asRole(at(main)),
    async create(prepare) {
      await begun
      const unmade = (cause: unknown) => refuse('did not make a database for the tests', cause, at(''))
      if (kept === undefined) {
        await create(main).catch(unmade)
        return await prepare(asRole(at(main)))
      }
      const unfinished = `${main}_unfinished`
      isNew = await keptTemplate(admin, { name: kept, prefix, role, self: main, unfinished }, async () => {
        await create(unfinished).catch(unmade)
        await prepare(asRole(at(unfinished)))
      })
      await create(main, kept).catch(unmade)
    },
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
      const url = asRole(at(fork))
      return {
        url,
        remove: (options) => {
          const stays = options.keep && cleaner !== undefined // a server of the run's own goes with it
          if (!keep && !stays) removals.push(drop(fork).catch(() => {}))
          return stays ? url : undefined
        },
      }
    },
    async [Symbol.asyncDispose]() {
      const unused = await Promise.all(ready)
      await Promise.all(removals)
      watcher?.dismiss()
      const isThere = await begun.then(
        () => true,
        () => false,
      )
      if (!isThere) return await admin.end({ timeout: 0 })
      if (keep) console.error(`The run's database was kept: ${at(main)}`)
      else for (const database of [...unused, template, `${main}_unfinished`, main]) await drop(database)
      if (role === main) await admin.unsafe(`drop role if exists ${quoted(main)}`).catch(() => {}) // it owns what was kept
      if (isNew && keepServer) {
        const others =
          await admin`select from pg_database where starts_with(datname, ${prefix}) and datname <> ${kept ?? ''}`
        if (others.length === 0) keepServer()
      }
      await admin.end()
    },
  }
}

/** Row level security does not hold for a superuser, so tests that were one would show nothing of it. */
async function isUnbound(admin: Sql): Promise<boolean> {
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
