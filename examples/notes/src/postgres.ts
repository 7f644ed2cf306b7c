import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/postgres-js'
import { migrate } from 'drizzle-orm/postgres-js/migrator'
import type { Sql } from 'postgres'
import type { Data } from './data'
import * as tables from './postgres.tables'

export const openPostgres = (client: Sql) => drizzle(client)

export function postgresData(db: ReturnType<typeof openPostgres>): Data {
  const { moves, notes } = tables
  return {
    db,
    tables,
    migrate: () => migrate(db, { migrationsFolder: join(import.meta.dir, '../drizzle/postgres') }),
    move: (move) =>
      db.transaction(async (tx) => {
        await tx.update(notes).set({ folder: move.to_folder }).where(eq(notes.id, move.note_id))
        await tx.insert(moves).values(move)
      }),
  }
}
