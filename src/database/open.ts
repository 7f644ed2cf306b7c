import { type Connection, connect } from './database'
import { lackingMigrations, migrate } from './migrate'

/**
 * Connects and brings the database to the newest migration; `applied` are the tags of those it took. With `migrates: false`
 * nothing is changed: throws when the database lacks a migration.
 */
export async function openDatabase(
  url: string,
  { migrates = true }: { migrates?: boolean } = {},
): Promise<{ connection: Connection; applied: string[] }> {
  let connection: Connection | undefined
  let lacking: string[]
  try {
    connection = connect(url)
    if (migrates) return { connection, applied: await migrate(connection.root) }
    lacking = await lackingMigrations(connection.root)
    if (lacking.length === 0) return { connection, applied: [] }
    await connection[Symbol.asyncDispose]()
  } catch (cause) {
    await connection?.[Symbol.asyncDispose]()
    throw new Error(
      `The database could not be opened${migrates ? ' and brought up to date' : ''}; look at DATABASE_URL`,
      {
        cause,
      },
    )
  }
  throw new Error(
    `The database lacks ${lacking.length} migrations (first ${lacking[0]}), and this start is not to apply them; run tenantry migrate, or start with MIGRATE_ON_START=on`,
  )
}
