import { readAddresses } from '../config'
import type { Connection, Database } from '../database/database'
import { dialectOf } from '../database/dialect'

type Options = Record<string, { type: 'string' | 'boolean'; help: string; required?: true; default?: string }>
export type Given = Record<string, string | boolean | undefined>
export type Command = {
  about: string
  options: Options
  /** The name of the one word that it takes besides options, where it takes one. */
  word?: string
  run: (given: Given) => Promise<string | undefined>
}

/** What a person typed wrongly, or what stands in the way. Printed as one line. */
export class UsageError extends Error {}

/** What was found not to be as it has to be, a line for each. */
export class Mismatch extends Error {
  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'))
  }
}

type Opening = { migrates?: boolean }

export const withDatabase = <T>(work: (database: Database) => Promise<T>, opening?: Opening): Promise<T> =>
  withConnection(({ database }) => work(database), opening)

/** As a start does, it brings the database up to date first, unless MIGRATE_ON_START or `migrates` says otherwise. */
export async function withConnection<T>(
  work: (connection: Connection) => Promise<T>,
  { migrates }: Opening = {},
): Promise<T> {
  const { databaseUrl, migrateOnStart, ...addresses } = readAddresses(process.env)
  const [{ openDatabase }, { acrossTenants }] = await Promise.all([
    import('../database/open'),
    import('../database/reach'),
  ])
  const { connection } = await openDatabase(
    { ...addresses, databaseUrl: unhurried(databaseUrl) },
    { migrates: migrates ?? migrateOnStart },
  )
  await using _ = connection
  return await acrossTenants('whoever runs commands runs the service', () => work(connection))
}

/** The same address without a limit for statements, unless it has its own: a large tenant takes longer than a request may. */
export function unhurried(url: string): string {
  if (dialectOf(url) === 'sqlite') return url
  const address = new URL(url)
  if (!address.searchParams.has('statement_timeout')) address.searchParams.set('statement_timeout', '0')
  return address.href
}

/** Throws not_found where no tenant has this slug. */
export async function tenantId(database: Database, slug: string): Promise<string> {
  const { tenantBySlug } = await import('../tenants/store')
  return await tenantBySlug(database, slug)
}
