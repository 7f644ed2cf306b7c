import { drizzle } from 'drizzle-orm/postgres-js'
import postgres, { type Sql, type TransactionSql } from 'postgres'
import type { Queries, RunStatement } from './database'
import type { Reach } from './reach'
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
  const session: Session = {
    pooled: true,
    run: (statement) => (statement.reach ? reaching(client, statement, statement.reach) : run(client, statement)),
    nest: (work, reach) => serializable(client, work, reach),
  }
  return { session, queries: queriesFor(client), serialize: undefined, close: () => client.end({ timeout: 5 }) }
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
async function serializable<T>(
  client: Sql,
  work: (inner: Session) => Promise<T>,
  reach: Reach | undefined,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    let clash: unknown
    const watch = (error: { code?: string }): never => {
      if (error.code === '40001' || error.code === '40P01') clash ??= error
      throw error
    }
    try {
      return (await client
        .begin('isolation level serializable', async (inner) => {
          if (reach) sendReach(inner, reach)
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
  run(statement) {
    if (statement.reach !== undefined) sendReach(client, statement.reach)
    return run(client, statement).catch(watch)
  },
  nest: (work, reach) =>
    client.savepoint((inner) => {
      if (reach !== undefined) sendReach(inner, reach)
      return work(inside(inner, watch))
    }) as Promise<never>,
})

/** For this transaction only, so that a connection that goes back to the pool carries no tenant. */
const reachText = (reach: Reach) => `set local tenantry.tenant_id = '${reach}'` // an id or a word, see reach.ts

/** Goes ahead of the next statement, and nobody waits for it. */
function sendReach(client: TransactionSql, reach: Reach): void {
  run(client, plain(reachText(reach))).catch(() => {}) // then the statement behind it fails too, and says so
}

/**
 * One statement as a transaction of its own; not serializable, as no single statement is. Who reads does not wait for the
 * COMMIT. Not with `reserve()`, which could save the wait for BEGIN too: postgres.js 3.4.9 loses the connections of those
 * who wait for one that cannot be opened.
 */
function reaching(client: Sql, statement: Statement, reach: Reach): Promise<unknown[]> {
  const read = Promise.withResolvers<unknown[]>()
  const whole = client.begin((inner) => {
    sendReach(inner, reach)
    const rows = run(inner, statement)
    rows.then(read.resolve, () => {})
    return rows
  })
  if (!/^select\b/i.test(statement.text)) return whole
  whole.catch(read.reject)
  return read.promise
}

const plain = (text: string): Statement => ({ text, params: [], shape: 'arrays' })

async function run(client: Pick<Sql, 'unsafe'>, { text, params, shape }: Statement): Promise<unknown[]> {
  // A named prepared statement takes one round trip once the server knows it; an unnamed one always takes two.
  const query = client.unsafe(text, params as never[], { prepare: params.length > 0 })
  return shape === 'arrays' ? await query.values() : await query
}

/** With a bound, postgres.js 3.4.9 loses the connection of a BEGIN that is the last to fit (porsager/postgres#1189). Not in its types. */
const unbounded: object = { max_pipeline: Number.MAX_SAFE_INTEGER }
