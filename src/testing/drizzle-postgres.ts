import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import type { Sql } from 'postgres'
import type { Session } from '../database/session'
import type { Door } from './door'
import { postgres } from './postgres-client'
import { type ClientOptions, connectPostgres, type PostgresSession, postgresSession } from './postgres-session'
import { Sandbox } from './sandbox'

/**
 * The door of an ordinary app on `drizzle-orm/postgres-js`. Give the app `database` where it would have made its own:
 *
 *     const { door, database } = drizzlePostgres((client) => drizzle(client, { schema }))
 *
 * The client has what one of postgres.js has, fragments and helpers such as sql(name) included; `options` are those that
 * the app gives it beside the address. Cursors and streams are refused, and in a transaction that a test's savepoint
 * holds, so is what needs another connection: `listen`, `reserve`, `subscribe`.
 */
export function drizzlePostgres<Db>(
  make: (client: Sql) => Db,
  options: ClientOptions = {},
): { door: Door; database: Db } {
  const ambient = new AsyncLocalStorage<Session>()
  const here = (): Session => {
    const session = ambient.getStore()
    if (!session) {
      throw new Error(
        'The database was used outside a test of the kit. Migrations go into `prepare`, rows for all tests into `seed`.',
      )
    }
    return session
  }
  // Never connected: it makes queries, and whoever runs them is found when they run.
  const factory = postgres({ ...options, max: 1 })
  const database = make(outerClient(factory, here))

  return {
    database,
    door: {
      open(source) {
        // Before postgres.js takes an address that says nothing to it for that of the server on this machine.
        if (typeof source !== 'string' || !/^postgres(ql)?:/.test(source)) throw otherDialect()
        const client = connectPostgres(source, options)
        // Drizzle maps values itself and tells its client to leave them alone; the real one has to do so too.
        Object.assign(client.options.parsers, factory.options.parsers)
        Object.assign(client.options.serializers, factory.options.serializers)
        // sql.array() looks here for the type of an array, which a connection has asked its server for.
        Object.assign(sharedOf(client), { typeArrayMap: sharedOf(factory).typeArrayMap })
        return { session: postgresSession(client), close: () => client.end({ timeout: 5 }) }
      },
      enter: (session, work) => ambient.run(session, work),
    },
  }
}

const otherDialect = () =>
  new Error(
    'drizzlePostgres opens PostgreSQL only, and the database of this run is SQLite: set TESTING_DATABASE_URL to postgres:embedded or postgres://....',
  )

const sharedOf = (client: Sql): { typeArrayMap?: object } => (client.options as { shared?: object }).shared ?? {}

type Handle = (client: object) => unknown

/** The app's client: each query goes to the session of the code that awaits it. */
function outerClient(factory: Sql, here: () => Session): Sql {
  const real = (what: string): Sql => {
    const session = here()
    const opened = session instanceof Sandbox ? session.forked : session
    if (opened && 'client' in opened) return (opened as PostgresSession).client
    throw new Error(
      `${what} does not work at the isolation level "savepoint": it needs a connection of its own. Give the test a database of its own: test(name, { isolation: 'fork' }, ...).`,
    )
  }
  const begin = (...args: [Handle] | [string, Handle]) => {
    const [modes, work] = args.length === 1 ? ['', args[0]] : args
    return transaction(factory, here(), work, modes.replace(/[^a-z ]/gi, '').trim())
  }
  return Object.assign(clientOver(factory, here), {
    begin,
    listen: async (...args: Parameters<Sql['listen']>) => await real('sql.listen()').listen(...args),
    subscribe: async (...args: Parameters<Sql['subscribe']>) => await real('sql.subscribe()').subscribe(...args),
    reserve: async () => await real('sql.reserve()').reserve(),
    end: async () => {},
    close: async () => {},
  }) as unknown as Sql
}

/** As postgres.js runs them: a list of queries is a transaction too. Nothing may come through its handle when it is over. */
function transaction(factory: Sql, session: Session, work: Handle, modes = ''): Promise<unknown> {
  return session.nest(async (inner) => {
    let over = false
    const inside = (): Session => {
      if (over) throw new Error('This transaction is over: something in it was not awaited.')
      return inner
    }
    const savepoint = (...args: [Handle] | [string, Handle]) =>
      transaction(factory, inside(), args.length === 1 ? args[0] : args[1])
    try {
      if (modes) await inner.run({ text: `set transaction ${modes}`, params: [], shape: 'objects' })
      const result = work(Object.assign(clientOver(factory, inside), { savepoint }))
      return await (Array.isArray(result) ? Promise.all(result) : result)
    } finally {
      over = true
    }
  })
}

/** A query of postgres.js, by what it has beside a promise; not in its types. */
type Query = Promise<unknown> & {
  tagged: boolean
  strings: readonly string[]
  args: unknown[]
  isRaw?: boolean | 'values'
  handler(query: Query): void
  resolve(rows: unknown): void
  reject(error: unknown): void
} & Partial<Record<'cursorRows' | 'forEachFn' | 'onlyDescribe' | 'streaming', unknown>>

/** A client whose queries are those of postgres.js, and run where `session` says when they are awaited. */
function clientOver(factory: Sql, session: () => Session): object {
  const make = factory as unknown as (first: unknown, ...rest: unknown[]) => object
  const unsafe = factory.unsafe as (...args: unknown[]) => unknown
  const isQuery = (made: object): made is Query => made instanceof Promise && 'handler' in made
  const ours = <T extends object>(made: T): T => {
    if (isQuery(made)) made.handler = (query) => void perform(query)
    return made
  }
  const perform = async (query: Query) => {
    try {
      if (query.cursorRows || query.forEachFn || query.onlyDescribe || query.streaming || query.isRaw === true)
        throw new Error('The kit does not know cursor(), forEach(), describe(), raw() and streams of postgres.js.')
      const shape = query.isRaw === 'values' ? 'arrays' : 'objects'
      query.resolve(await session().run({ ...compile(factory, query), shape }))
    } catch (error) {
      query.reject(error)
    }
  }
  return Object.assign((first: unknown, ...rest: unknown[]) => ours(make(first, ...rest)), factory, {
    unsafe: (...args: unknown[]) => ours(unsafe(...args) as object),
    file: (path: string, ...rest: unknown[]) => ours(unsafe(readFileSync(path, 'utf8'), ...rest) as object),
    notify: (channel: string, payload: string) =>
      ours(unsafe('select pg_notify($1, $2)', [channel, payload]) as object),
  })
}

/** The text and parameters of a query, with all fragments and helpers in it, as postgres.js would send them. */
function compile(factory: Sql, { tagged, strings, args }: Query): { text: string; params: unknown[] } {
  if (!tagged) return { text: strings[0] ?? '', params: args }
  const [params, types]: [unknown[], number[]] = [[], []]
  const make = factory as unknown as (value: object) => Builder
  // Any value is written as one in VALUES is, between parentheses.
  const one = (value: unknown, into: unknown[], typesOf: number[]) =>
    make({ value }).build(' values ', into, typesOf, factory.options).slice(1, -1)
  const written = (before: string, value: unknown): string =>
    value instanceof make({}).constructor
      ? (value as Builder).build(before, params, types, factory.options)
      : one(value, params, types)
  const text = strings.reduce((before, part, at) => before + written(before, args[at - 1]) + part)
  /** As sql.json() or sql.array() made it, unless its type is the one that postgres.js finds for the bare value. */
  const typed = (value: unknown, type: number | undefined): unknown => {
    const found: number[] = []
    one(value, [], found)
    return type === found[0] ? value : factory.typed(value as never, type as number)
  }
  return { text, params: params.map((value, at) => typed(value, types[at])) }
}

/** What sql(value) is: it writes itself by the keyword before it. */
type Builder = { build(before: string, params: unknown[], types: number[], options: object): string }
