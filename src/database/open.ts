import { failureCode } from '../errors'
import { type Connection, connect } from './database'
import { migrate } from './migrate'
import { admitRole } from './role'

export type Addresses = {
  readonly databaseUrl: string
  /** Postgres only: the tables' owner, where the service has a role of its own that changes no tables. */
  readonly migrationDatabaseUrl?: string | undefined
}

/** Connects and brings the database to the newest migration; `applied` are the tags of those it took. */
export async function openDatabase({
  databaseUrl,
  migrationDatabaseUrl,
}: Addresses): Promise<{ connection: Connection; applied: string[] }> {
  const byOwner = migrationDatabaseUrl === undefined ? [] : await prepared(migrationDatabaseUrl, databaseUrl)
  let connection: Connection | undefined
  try {
    connection = connect(databaseUrl)
    return { connection, applied: [...byOwner, ...(await migrate(connection.root))] }
  } catch (cause) {
    await connection?.[Symbol.asyncDispose]()
    throw unopened('DATABASE_URL', cause)
  }
}

async function prepared(ownerUrl: string, databaseUrl: string): Promise<string[]> {
  try {
    await using owner = connect(ownerUrl, { maxConnections: 1 })
    const applied = await migrate(owner.root)
    await admitRole(owner.root, databaseUrl)
    return applied
  } catch (cause) {
    throw unopened('MIGRATION_DATABASE_URL', cause)
  }
}

const notAllowed = '42501'

const unopened = (variable: string, cause: unknown) =>
  new Error(
    failureCode(cause) === notAllowed && variable === 'DATABASE_URL'
      ? 'The role of DATABASE_URL may not bring the tables up to date; set MIGRATION_DATABASE_URL to their owner, or run tenantry migrate with it'
      : `The database could not be opened and brought up to date; look at ${variable}`,
    { cause },
  )
