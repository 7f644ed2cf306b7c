import { drizzle } from 'drizzle-orm/postgres-js'
import postgres, { type Sql, type TransactionSql } from 'postgres'
import type { DatabaseLoad, Queries, RunStatement } from './database'
import type { Reach } from './reach'
import { readRowsQuickly } from './rows'
import type { Session, Statement } from './session'
import { answered, type Patience, Silence, wait } from './silence'

/**
 * What the address may say otherwise, in the server's units. A server that is not there is noticed within
 * `connect_timeout` seconds. It ends a statement after `statement_timeout` ms; 0 is no limit, and nothing is sent then,
 * because poolers such as PgBouncer may not know it. Locks of a process that vanished are not held for ever.
 */
const bounds = { connect_timeout: '5', statement_timeout: '30000', idle_in_transaction_session_timeout: '300000' }

/** Beyond the server's own limit, in ms, before it counts as gone. */
const graceMs = 2000

/** Opens `postgres://...`. `?socket=/folder` connects through a Unix socket, which postgres.js has no URL form for. */
export function open(url: string | Uint8Array, maxConnections: number) {
  if (typeof url !== 'string') throw new Error('A Postgres database is opened by its URL.')
  const address = new URL(url)
  const take = (name: string, otherwise: string | null = null): string | null => {
    const value = address.searchParams.get(name) ?? otherwise
    address.searchParams.delete(name)
    return value
  }
  const socket = take('socket')
  for (const [name, usual] of Object.entries(bounds)) {
    const value = take(name, usual)
    if (value !== null && value !== '0') address.searchParams.set(name, value)
  }
  const limitMs = Number(address.searchParams.get('statement_timeout') ?? 0)

  const connectAll = () =>
    postgres(address.href, {
      max: maxConnections,
      fetch_types: false,
      // Whatever the server or the database says for others: in other styles the month and the day change places.
      connection: { DateStyle: 'ISO' },
      onnotice() {},
      backoff: soon,
      ...unbounded,
      ...(socket && { host: socket }),
    })
  let client = connectAll()
  const { parsers, serializers } = client.options

  /**
   * Of connections that nobody answers on, postgres.js would keep waiting, and new queries would queue behind them. So all
   * are given up: those that do get answers have a moment to end their work.
   */
  const line = (): Line => {
    const taken = client
    const onSilence = () => {
      if (taken !== client) return // somebody else noticed first
      client = connectAll()
      Object.assign(client.options.parsers, parsers)
      Object.assign(client.options.serializers, serializers)
      void taken.end({ timeout: 5 })
    }
    return { client, patience: limitMs > 0 ? { ms: limitMs + graceMs, onSilence } : undefined }
  }

  // Counted here, because postgres.js tells nobody how many of its connections are busy.
  let inFlight = 0
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    inFlight++
    try {
      return await work()
    } finally {
      inFlight--
    }
  }

  const session: Session = {
    pooled: true,
    run: ({ reach, ...statement }) => counted(() => run(line(), reach ? { ...statement, reach } : statement)),
    nest: (work, reach) => counted(() => serializable(line, work, reach)),
  }
  return {
    session,
    queries: queriesFor(client),
    serialize: undefined,
    load: (): DatabaseLoad => ({ pool: { size: maxConnections, inFlight } }),
    close: () => client.end({ timeout: 5 }),
  }
}

/** A client to ask, and how long to wait for what it says. */
type Line<Client = Sql> = { readonly client: Client; readonly patience: Patience | undefined }

/** Drizzle's Postgres driver over a client that has just what the driver calls (hence the cast): each query goes to `run`. */
const queriesFor =
  (client: Sql) =>
  (run: RunStatement): Queries => {
    const unsafe = (text: string, params: unknown[] = []) => ({
      // biome-ignore lint/suspicious/noThenProperty: postgres.js queries are thenables, and the driver awaits this one
      then: (...handlers: Parameters<Promise<unknown[]>['then']>) =>
        run({ text, params, shape: 'objects' }).then(...handlers),
      values: () => run({ text, params, shape: 'arrays' }),
    })
    const queries = drizzle({ client: { options: client.options, unsafe } as unknown as Sql })
    readRowsQuickly(queries._.session, 'execute', run)
    return queries
  }

/** How long a transaction is done again, in ms: of many that change one row, each try lets one through. */
const triedForMs = 5000
/** Between two tries, in ms. */
const longestPauseMs = 250

/** Transactions behave as on SQLite: as if one came after the other. One that cannot is done again, so `work` must be repeatable. */
async function serializable<T>(
  line: () => Line,
  work: (inner: Session) => Promise<T>,
  reach: Reach | undefined,
): Promise<T> {
  const begunAt = performance.now()
  for (let attempt = 1; ; attempt++) {
    let clash: unknown
    const watch = (error: { code?: string }): never => {
      if (error.code === '40001' || error.code === '40P01') clash ??= error
      throw error
    }
    try {
      return await begin(line(), 'isolation level serializable', async (inner) => {
        if (reach) say(inner, reach)
        const result = await work(inside(inner, watch))
        if (clash) throw clash // even if `work` took it for something else
        return result
      }).catch(watch)
    } catch (error) {
      if (!clash || isFinal(error) || performance.now() - begunAt > triedForMs) throw error
      await Bun.sleep(Math.random() * Math.min(2 ** attempt, longestPauseMs))
    }
  }
}

const isFinal = (error: unknown): boolean => error instanceof Error && 'isFinal' in error && error.isFinal === true

/** The time that `work` takes is its own: only answers to BEGIN, to its statements, and to COMMIT or ROLLBACK are waited for. */
async function begin<T>(
  { client, patience }: Line,
  options: string,
  work: (inner: Line<TransactionSql>) => Promise<T>,
): Promise<T> {
  const waiting = patience && wait(patience)
  let isOver = false
  const done = client.begin(options, async (inner) => {
    if (isOver && patience) throw new Silence(patience.ms) // whoever wanted it was told so
    waiting?.stop()
    try {
      return await work({
        client: inner,
        patience: patience && { ...patience, onSilence: waiting?.giveUp ?? (() => {}) },
      })
    } finally {
      if (!isOver) waiting?.goOn()
    }
  })
  try {
    return (await (waiting ? Promise.race([done, waiting.silence]) : done)) as T
  } finally {
    isOver = true
    waiting?.stop()
  }
}

const inside = (line: Line<TransactionSql>, watch: (error: { code?: string }) => never): Session => ({
  pipelines: true,
  run: (statement) => run(line, statement).catch(watch),
  nest: (work, reach) =>
    line.client.savepoint((client) => {
      const inner = { ...line, client }
      if (reach !== undefined) say(inner, reach)
      return work(inside(inner, watch))
    }) as Promise<never>,
})

/** For this transaction only, so that a connection that goes back to the pool carries no tenant. */
const setReach = "select set_config('tenantry.tenant_id', $1, true)"

/**
 * Goes ahead of a transaction's first statement, and nobody waits for it. Not as `setReach`: after a query, a transaction
 * can no longer say how it is isolated.
 */
function say(line: Line<TransactionSql>, reach: Reach): void {
  const text = `set local tenantry.tenant_id = '${reach}'` // an id or a word, see reach.ts
  run(line, { text, params: [], shape: 'arrays' }).catch(() => {}) // then the statement behind it fails too, and says so
}

/**
 * A statement outside a transaction is one of its own; not serializable, as no single statement is. Its reach goes ahead
 * of it in the same round trip and the same implicit transaction (`lead`, from patches/), within which it ends.
 */
async function run({ client, patience }: Line<Sql | TransactionSql>, statement: Statement): Promise<unknown[]> {
  const { text, params, shape, reach, takesLong = false } = statement
  const query = client.unsafe(text, params as never[], {
    // A named prepared statement takes one round trip once the server knows it; an unnamed one always takes two.
    prepare: params.length > 0,
    ...(reach !== undefined && { simple: false, lead: { string: setReach, parameter: reach } }),
  })
  return await answered(shape === 'arrays' ? query.values() : query, takesLong ? undefined : patience)
}

/**
 * Seconds until the next try to connect. postgres.js would wait for up to 20 s, and queries with it, after the server is
 * back; a refused connection costs nearly nothing.
 */
const soon = (failures: number): number => (0.5 + Math.random() / 2) * Math.min(0.02 * 2 ** failures, 0.25)

/** With a bound, postgres.js 3.4.9 loses the connection of a BEGIN that is the last to fit (porsager/postgres#1189). Not in its types. */
const unbounded: object = { max_pipeline: Number.MAX_SAFE_INTEGER }
