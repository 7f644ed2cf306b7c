import postgres, { type Sql, type TransactionSql } from 'postgres'
import type { Session, Statement } from './session'

/** Opens `postgres://...`. `?socket=/folder` connects through a Unix socket, which postgres.js has no URL form for. */
export function openPostgres(
  url: string,
  options: postgres.Options<Record<string, never>> = {},
): { session: Session; client: Sql; close(): Promise<void> } {
  const address = new URL(url)
  const socket = address.searchParams.get('socket')
  address.searchParams.delete('socket')
  const client = postgres(address.href, { onnotice() {}, ...unbounded, ...(socket && { host: socket }), ...options })
  return {
    client,
    session: { pooled: true, run: (statement) => run(client, statement), nest: (work) => serializable(client, work) },
    close: () => client.end({ timeout: 5 }),
  }
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
