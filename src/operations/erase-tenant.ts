import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { tenantTables } from '../database/catalogue'
import { type Connection, connect } from '../database/database'
import { dialect } from '../database/dialect'
import { acrossTenants } from '../database/reach'
import { Scope, type Session } from '../database/session'
import { isolate, raw } from '../database/snapshot'
import { conflict, failureCode } from '../errors'
import { isId } from '../ids'
import { tenantBySlug } from '../tenants/store'
import { type Census, takeCensus } from './census'

type Erasing = {
  slug: string
  /** EXPORT_DIR, where the server has one. */
  exportDir: string | undefined
  /** Rewrite the database, so that nothing of what was erased stays in its files. */
  vacuum: boolean
  /** Of the tables' owner, where it is another role than the service's: only an owner vacuums. */
  ownerUrl?: string | undefined
}

/**
 * Removes a tenant with every row and file of it, and returns in words what was there and that it is gone. All in one
 * transaction, at whose end everything is counted again: where a row is left, or another tenant has lost one, all is undone.
 */
export async function eraseTenant(
  connection: Connection,
  { slug, exportDir, vacuum, ownerUrl }: Erasing,
): Promise<string> {
  const { database } = connection
  await using owner = !vacuum || ownerUrl === undefined ? undefined : connect(ownerUrl, { maxConnections: 1 })
  // Past the scope, which would put each statement into a transaction, where Postgres does not vacuum.
  const { session } = (owner ?? connection).root
  if (vacuum) await requireVacuum(session)
  const erased = async () => {
    await isolate('repeatable read')
    const id = await tenantBySlug(database, slug)
    await holdTenant(id)
    const before = await takeCensus(database)
    for (const { table, owner } of tenantTables.toReversed()) await database.delete(table).where(eq(owner, id))
    const after = await takeCensus(database)
    requireGone(id, before, after)
    // Last, so that all is undone where a file stays; and a second attempt finds none and is content.
    const files = await removeFiles(exportDir, id)
    return inWords(slug, id, before, after, files)
  }
  const report = await acrossTenants('the rows of all are counted, before and after', () =>
    database.transaction(erased),
  )
  if (vacuum) await rewrite(session, slug)
  return report
}

/** Whoever is about to write a row of the tenant waits on Postgres until it is gone, and is then refused. SQLite has one writer. */
async function holdTenant(id: string): Promise<void> {
  if (dialect === 'postgres') {
    const text = 'select 1 from tenants where id = $1 for update'
    await Scope.current()?.run({ text, params: [id], shape: 'arrays' })
  }
}

function requireGone(id: string, before: Census, after: Census): void {
  for (const [table, owners] of before) {
    const expected = new Map(owners)
    expected.delete(id)
    if (!Bun.deepEquals(expected, after.get(table)))
      throw new Error(`The rows of ${table} would not be those of the other tenants; nothing was erased`)
  }
}

async function removeFiles(exportDir: string | undefined, id: string): Promise<number | undefined> {
  if (exportDir === undefined || !isId(id)) return undefined
  const folder = join(exportDir, id)
  try {
    const files = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error) => {
      if (failureCode(error) === 'ENOENT') return []
      throw error
    })
    await rm(folder, { recursive: true, force: true })
    return files.filter((file) => !file.isDirectory()).length
  } catch (error) {
    throw new Error(
      `The files of the tenant below EXPORT_DIR cannot be removed (${failureCode(error)}); nothing was erased`,
    )
  }
}

function inWords(slug: string, id: string, before: Census, after: Census, files: number | undefined): string {
  const sum = (census: Census, ours: boolean) =>
    [...census.values()]
      .flatMap((owners) => [...owners])
      .reduce((rows, [owner, count]) => ((owner === id) === ours ? rows + count : rows), 0)
  const others = Math.max(0, (before.get('tenants')?.size ?? 0) - 1)
  return [
    ...[...before].map(
      ([table, owners]) => `${table.padEnd(20)} ${owners.get(id) ?? 0} before, ${after.get(table)?.get(id) ?? 0} after`,
    ),
    files === undefined
      ? 'EXPORT_DIR is not set here, so no files were looked for.'
      : `${'files'.padEnd(20)} ${files} before, 0 after`,
    `The tenant ${slug} (${id}) is erased. The others (${others}) have the ${sum(after, false)} rows that they had, counted by table and tenant.`,
  ].join('\n')
}

/** Postgres passes over the tables that a role may not vacuum, and does not fail. */
async function requireVacuum(session: Session): Promise<void> {
  if (dialect === 'sqlite') return
  const text = `select pg_has_role(relowner, 'usage') or pg_has_role(datdba, 'usage') from pg_class, pg_database
    where pg_class.oid = 'tenants'::regclass and datname = current_database()`
  const [[may] = [false]] = (await session.run(raw(text))) as [boolean][]
  if (!may)
    throw conflict(
      'Only the owner of the tables may vacuum them; set MIGRATION_DATABASE_URL to it. Nothing was erased.',
    )
}

async function rewrite(session: Session, slug: string): Promise<void> {
  const steps =
    dialect === 'postgres'
      ? ['vacuum']
      : [
          // The index marks entries as deleted, and only drops them when it merges.
          "insert into conversation_search(conversation_search) values ('optimize')",
          'vacuum',
          'pragma wal_checkpoint(truncate)',
        ]
  try {
    for (const step of steps) await session.run(raw(step))
  } catch (cause) {
    throw new Error(`The tenant ${slug} is erased, but the database could not be vacuumed`, { cause })
  }
}
