import { failureCode } from '../errors'
import { type Connection, connect } from './database'
import { lackingMigrations, migrate } from './migrate'
import { admitRole } from './role'

export type Addresses = {
  readonly databaseUrl: string
  /** Postgres only: the tables' owner, where the service has a role of its own that changes no tables. */
  readonly migrationDatabaseUrl?: string | undefined
}

/**
 * Connects and brings the database to the newest migration; `applied` are the tags of those it took. With `migrates: false`
 * nothing is changed, no role either: throws when the database lacks a migration.
 */
export async function openDatabase(
  { databaseUrl, migrationDatabaseUrl }: Addresses,
  { migrates = true }: { migrates?: boolean } = {},
): Promise<{ connection: Connection; applied: string[] }> {
  const byOwner =
    migrates && migrationDatabaseUrl !== undefined ? await prepared(migrationDatabaseUrl, databaseUrl) : []
  let connection: Connection | undefined
  let lacking: string[]
  try {
    connection = connect(databaseUrl)
    if (migrates) return { connection, applied: [...byOwner, ...(await migrate(connection.root))] }
    lacking = await lackingMigrations(connection.root)
    if (lacking.length === 0) return { connection, applied: [] }
    await connection[Symbol.asyncDispose]()
  } catch (cause) {
    await connection?.[Symbol.asyncDispose]()
    throw unopened('DATABASE_URL', cause, migrates)
  }
  throw new Error(
    `The database lacks ${lacking.length} migrations (first ${lacking[0]}), and this start is not to apply them; run tenantry migrate, or start with MIGRATE_ON_START=on`,
  )
}

async function prepared(ownerUrl: string, databaseUrl: string): Promise<string[]> {
  try {
    await using owner = connect(ownerUrl, { maxConnections: 1 })
    const applied = await migrate(owner.root)
    await admitRole(owner.root, databaseUrl)
    return applied
  } catch (cause) {
    throw unopened('MIGRATION_DATABASE_URL', cause, true)
  }
}

const notAllowed = '42501'

/** What a Postgres says to an address that is not right, in words. */
const refusals: Record<string, string> = {
  '28P01': ': the server refuses the password, or knows no such role',
  '28000': ': the server does not let this role in',
  '3D000': ': the server has no database of that name',
}

const unopened = (variable: string, cause: unknown, migrates: boolean) => {
  const code = failureCode(cause) ?? ''
  return new Error(
    migrates && code === notAllowed && variable === 'DATABASE_URL'
      ? 'The role of DATABASE_URL may not bring the tables up to date; set MIGRATION_DATABASE_URL to their owner, or run tenantry migrate with it'
      : `The database could not be opened${migrates ? ' and brought up to date' : ''}${refusals[code] ?? ''}; look at ${variable}`,
    { cause },
  )
}
