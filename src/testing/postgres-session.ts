import type { Options, PostgresType, Sql, TransactionSql } from 'postgres'
import type { Session, Statement } from '../database/session'
import { postgres } from './postgres-client'

/** What an app gives postgres.js beside the address. */
export type ClientOptions = Omit<
  Options<Record<string, PostgresType>>,
  'host' | 'port' | 'path' | 'database' | 'db' | 'user' | 'username' | 'pass' | 'password' | 'onclose'
>

/** Connects to a database of the run; `?socket=` is how the embedded server says where it listens. */
export function connectPostgres(url: string, options: ClientOptions): Sql {
  const address = new URL(url)
  const socket = address.searchParams.get('socket')
  address.searchParams.delete('socket')
  // Unbounded, because of porsager/postgres#1189: a BEGIN that is the last to fit into the pipeline loses its connection.
  const unbounded: object = { max_pipeline: Number.MAX_SAFE_INTEGER }
  return postgres(address.href, { onnotice() {}, ...options, ...unbounded, ...(socket && { host: socket }) })
}

/** A plain client as a session: transactions as BEGIN makes them, nothing is repeated. */
export type PostgresSession = Session & { readonly client: Sql }

export const postgresSession = (client: Sql): PostgresSession => ({
  client,
  pooled: true,
  run: (statement) => run(client, statement),
  nest: (work) => client.begin((inner) => work(inside(inner))) as Promise<never>,
})

const inside = (client: TransactionSql): Session => ({
  pipelines: true,
  run: (statement) => run(client, statement),
  nest: (work) => client.savepoint((inner) => work(inside(inner))) as Promise<never>,
})

async function run(client: Sql | TransactionSql, { text, params, shape }: Statement): Promise<unknown[]> {
  const query = client.unsafe(text, params as never[], { prepare: params.length > 0 })
  return shape === 'arrays' ? await query.values() : await query
}
