import { sql } from 'drizzle-orm'
import { type BunSQLiteDatabase, drizzle as drizzleBun } from 'drizzle-orm/bun-sqlite'
import { drizzle as drizzleJs, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import type { Sql } from 'postgres'
import { connect } from '../../../src/database/database'
import { Scope } from '../../../src/database/session'
import { type Dialect, type Door, drizzlePostgres, drizzleSqlite } from '../../../src/testing'
import { drive, driveSync, type Handle, type Row, type Work } from './steps'

/** An app's way to its database: what the kit puts itself behind. */
export type Subject = {
  name: 'seam' | 'bun-sqlite' | 'postgres-js'
  dialects: readonly Dialect[]
  door: Door
  perform<T>(work: Work<T>): Promise<T>
  /** Where the driver has it. */
  listen?(channel: string, heard: (payload: string) => void): Promise<unknown>
}

/** The service's own: one handle, whose transactions are ambient. */
const seam = (): Subject => {
  const here = () => {
    const scope = Scope.current()
    if (!scope) throw new Error('There is no scope here.')
    return scope
  }
  const handle: Handle = {
    ask: (text) => here().run({ text, params: [], shape: 'objects' }) as Promise<Row[]>,
    transaction: (work) => here().transaction(() => drive(work(), handle)),
  }
  return {
    name: 'seam',
    dialects: ['sqlite', 'postgres'],
    door: {
      open: (source) => {
        const { root, serialize, [Symbol.asyncDispose]: close } = connect(source)
        return { session: root.session, ...(serialize && { serialize }), close }
      },
      enter: (session, work) => new Scope(session).enter(work),
    },
    perform: (work) => drive(work(), handle),
  }
}

const bunSqlite = (): Subject => {
  const { door, database } = drizzleSqlite((client) => {
    client.run('pragma foreign_keys = on')
    return drizzleBun(client)
  })
  const over = (db: Pick<BunSQLiteDatabase, 'all' | 'transaction'>): Handle => ({
    ask: (text) => db.all(sql.raw(text)),
    transaction: (work) => db.transaction((tx) => driveSync(work(), over(tx))),
  })
  return { name: 'bun-sqlite', dialects: ['sqlite'], door, perform: async (work) => driveSync(work(), over(database)) }
}

const postgresJs = (): Subject => {
  const { door, database } = drizzlePostgres((client): PostgresJsDatabase & { $client: Sql } => drizzleJs(client))
  const over = (db: Pick<PostgresJsDatabase, 'execute' | 'transaction'>): Handle => ({
    ask: (text) => db.execute(sql.raw(text)),
    transaction: (work, isolationLevel) =>
      db.transaction((tx) => drive(work(), over(tx)), isolationLevel && { isolationLevel }),
  })
  return {
    name: 'postgres-js',
    dialects: ['postgres'],
    door,
    perform: (work) => drive(work(), over(database)),
    listen: (channel, heard) => database.$client.listen(channel, heard),
  }
}

/** A subject has one database at a time, so each run of the suite makes its own. */
export const subjects: readonly (() => Subject)[] = [seam, bunSqlite, postgresJs]
