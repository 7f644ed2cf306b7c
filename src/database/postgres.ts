import { drizzle } from 'drizzle-orm/postgres-js'
import postgres, { type Sql, type TransactionSql } from 'postgres'
import type { DatabaseLoad, Queries, RunStatement } from './database'
import type { Session, Statement } from './session'

/** Opens `postgres://...`. `?socket=/folder` connects through a Unix socket, which postgres.js has no URL form for. */
export function open(url: string | Uint8Array, maxConnections: number) {
  if (typeof url !== 'string') throw new Error('A Postgres database is opened by its URL.')
  const address = new URL(url)
  const socket = address.searchParams.get('socket')
  address.searchParams.delete('socket')
  const client = postgres(address.href, {
    max: maxConnections,
    fetch_types: false,
    onnotice() {},
    ...unbounded,
    ...(socket && { host: socket }),
  })
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
    run: (statement) => counted(() => run(client, statement)),
    nest: (work) => counted(() => serializable(client, work)),
  }
  return {
    session,
    queries: queriesFor(client),
    serialize: undefined,
    load: (): DatabaseLoad => ({ pool: { size: maxConnections, inFlight } }),
    close: () => client.end({ timeout: 5 }),
  }
}

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
    return drizzle({ client: { options: client.options, unsafe } as unknown as Sql })
  }

const attempts = 10

/** Transactions behave as on SQLite: as if one came after the other. One that cannot is done again, so `work` must be repeatable. */
async function serializable<T>(client: Sql, work: (inner: Session) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    let clash: unknown
    const watch = (error: { code?: string }): never => {
      if (error.code === '40001' || error.code === '40P01') clash ??= error
      throw error
    }
    try {
      return (await client
        .begin('isolation level serializable', async (inner) => {
          const result = await work(inside(inner, watch))
          if (clash) throw clash // even if `work` took it for something else
          return result
        })
        .catch(watch)) as T
    } catch (error) {
      if (!clash || attempt === attempts) throw error
      await Bun.sleep(Math.random() * 2 ** attempt)
    }
  }
}

const inside = (client: TransactionSql, watch: (error: { code?: string }) => never): Session => ({
  run: (statement) => run(client, statement).catch(watch),
  nest: (work) => client.savepoint((inner) => work(inside(inner, watch))) as Promise<never>,
})

async function run(client: Sql | TransactionSql, { text, params, shape }: Statement): Promise<unknown[]> {
  // A named prepared statement takes one round trip once the server knows it; an unnamed one always takes two.
  const query = client.unsafe(text, params as never[], { prepare: params.length > 0 })
  return shape === 'arrays' ? await query.values() : await query
}

/** With a bound, postgres.js 3.4.9 loses the connection of a BEGIN that is the last to fit (porsager/postgres#1189). Not in its types. */
const unbounded: object = { max_pipeline: Number.MAX_SAFE_INTEGER }
