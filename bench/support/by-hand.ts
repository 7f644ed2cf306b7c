import { Database } from 'bun:sqlite'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { embeddedPostgres } from '../../src/testing/postgres-server'

/** What a client creating a conversation, chatting and listing asks the database; see recording.test.ts. */
export type Flow = {
  dialect: 'sqlite' | 'postgres'
  /** Whose requests they are. */
  rows: Record<'tenants' | 'users', Record<string, unknown>[]>
  /** Those of one transaction stand together. */
  steps: { isTransaction: boolean; statements: { text: string; params: never[] }[] }[]
}

export const readFlow = (): Flow => JSON.parse(readFileSync(process.env.BENCH_FLOW ?? '', 'utf8'))

/**
 * The floor under every figure of the kit's: the statements of a flow as somebody would write them in a test without
 * framework, service and kit, each time in a transaction that is rolled back. Resolves to what does it once.
 */
export const byHand = (flow: Flow): Promise<() => unknown> =>
  flow.dialect === 'postgres' ? onPostgres(flow) : Promise.resolve(onSqlite(flow))

const migrations = (dialect: Flow['dialect']) => {
  const folder = join(import.meta.dir, '../../drizzle', dialect)
  const files = readdirSync(folder).filter((file) => file.endsWith('.sql'))
  return files.toSorted().map((file) => readFileSync(join(folder, file), 'utf8'))
}

function onSqlite({ rows, steps }: Flow) {
  const client = new Database(':memory:', { strict: true })
  for (const text of migrations('sqlite')) client.run(text)
  client.run('pragma foreign_keys = on')
  for (const [table, all] of Object.entries(rows)) {
    for (const row of all) {
      const names = Object.keys(row)
      client.run(`insert into ${table} (${names}) values (${names.map(() => '?')})`, Object.values(row) as never[])
    }
  }
  return () => {
    client.run('savepoint test')
    for (const { isTransaction, statements } of steps) {
      if (isTransaction) client.run('savepoint step')
      for (const { text, params } of statements) client.query(text).values(...params)
      if (isTransaction) client.run('release step')
    }
    client.run('rollback to test')
    client.run('release test')
  }
}

async function onPostgres({ rows, steps }: Flow) {
  const { socket, started } = embeddedPostgres()
  await started
  const connect = (database: string) =>
    postgres({ host: socket, user: 'postgres', database, max: 1, fetch_types: false, onnotice() {} })
  const admin = connect('postgres')
  await admin.unsafe('create database by_hand')
  await admin.end()
  const client = connect('by_hand')
  for (const text of migrations('postgres')) await client.unsafe(text)
  for (const [table, all] of Object.entries(rows)) await client`insert into ${client(table)} ${client(all)}`

  const undone = new Error('undone')
  return async () => {
    const whole = client.begin(async (outer) => {
      for (const { isTransaction, statements } of steps) {
        const run = async (inner: typeof outer) => {
          for (const { text, params } of statements) await inner.unsafe(text, params, { prepare: true }).values()
        }
        await (isTransaction ? outer.savepoint(run) : run(outer))
      }
      throw undone
    })
    await whole.catch((error) => {
      if (error !== undone) throw error
    })
  }
}
