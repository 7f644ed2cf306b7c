import type { Database as Client } from 'bun:sqlite'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import { migrate } from 'drizzle-orm/bun-sqlite/migrator'
import type { Data } from './data'
import * as tables from './sqlite.tables'

export function openSqlite(client: Client) {
  client.run('pragma foreign_keys = on')
  return drizzle(client)
}

export function sqliteData(db: ReturnType<typeof openSqlite>): Data {
  const { moves, notes } = tables
  return {
    // Both dialects have the same tables, and of the queries only what both drivers have is used.
    ...({ db, tables } as unknown as Pick<Data, 'db' | 'tables'>),
    migrate: async () => migrate(db, { migrationsFolder: join(import.meta.dir, '../drizzle/sqlite') }),
    move: async (move) =>
      db.transaction((tx) => {
        tx.update(notes).set({ folder: move.to_folder }).where(eq(notes.id, move.note_id)).run()
        tx.insert(moves).values(move).run()
      }),
  }
}
