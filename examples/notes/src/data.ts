import { PgDatabase } from 'drizzle-orm/pg-core'
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import { type openPostgres, postgresData } from './postgres'
import type * as postgresTables from './postgres.tables'
import { type openSqlite, sqliteData } from './sqlite'

/** The app's database. Queries are awaited, which both drivers allow; only transactions differ between them. */
export type Data = {
  db: Pick<PostgresJsDatabase, 'select' | 'insert' | 'update' | 'delete' | '$count'>
  tables: typeof postgresTables
  /** Moves a note and writes down that it did, or does neither. */
  move(move: typeof postgresTables.moves.$inferInsert): Promise<void>
  migrate(): Promise<void>
}

export const dataOf = (db: ReturnType<typeof openPostgres | typeof openSqlite>): Data =>
  db instanceof PgDatabase ? postgresData(db) : sqliteData(db)

/** True where a constraint refused a row, with either driver. */
export function isRefused(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if ('code' in error && /^(SQLITE_CONSTRAINT|23)/.test(String(error.code))) return true
  }
  return false
}
