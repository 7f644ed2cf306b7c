import { open } from 'node:fs/promises'
import { and, asc, count, eq, gt, isNotNull, type SQL, sql } from 'drizzle-orm'
import { type TenantTable, tenantTables } from '../database/catalogue'
import type { Connection, Database } from '../database/database'
import { acrossTenants } from '../database/reach'
import { readSnapshot } from '../database/snapshot'
import { tenant_plugins, tenants } from '../database/tables'
import { notFound } from '../errors'
import type { Clock } from '../ids'
import { format, formatVersion, type Header, lineOf, newestSchema, notes, type Row, withoutSecrets } from './archive'
import { writeNewFile } from './new-file'

type Exporting = { slug: string; file: string; leaveSecrets: boolean }

/** Rows are held by the page and never all of them. */
const rowsAtOnce = 200

/** Writes one tenant as it is at one moment, while others write; says in words what was written. */
export async function exportTenant(
  connection: Connection,
  clock: Clock,
  { slug, file, leaveSecrets }: Exporting,
): Promise<string> {
  const { database } = connection
  let header: Header | undefined
  const bytes = await writeNewFile(file, (unfinished) =>
    acrossTenants('whose slug it is, is found in the same snapshot', () =>
      readSnapshot(connection, async () => {
        const out = await open(unfinished, 'w')
        try {
          header = await headerFor(database, clock, slug, leaveSecrets)
          await out.write(`${JSON.stringify(header)}\n`)
          for (const table of tenantTables) {
            for await (const rows of pages(database, table, header.tenant.id)) {
              const kept = leaveSecrets ? rows.map((row) => withoutSecrets(table.name, row)) : rows
              await out.write(kept.map((row) => lineOf(table.name, row)).join(''))
            }
          }
        } finally {
          await out.close()
        }
      }),
    ),
  )
  const rows = Object.values(header?.counts ?? {}).reduce((sum, each) => sum + each, 0)
  return `Exported ${slug} to ${file}: ${rows} rows, ${bytes} bytes. ${header?.note ?? ''}`
}

async function headerFor(database: Database, clock: Clock, slug: string, leaveSecrets: boolean): Promise<Header> {
  const [tenant] = await database
    .select({ id: tenants.id, slug: tenants.slug, name: tenants.name })
    .from(tenants)
    .where(eq(tenants.slug, slug))
  if (!tenant) throw notFound('tenant')
  const counts: Record<string, number> = {}
  for (const { name, table, owner } of tenantTables) {
    const [found] = await database.select({ rows: count() }).from(table).where(eq(owner, tenant.id))
    counts[name] = found?.rows ?? 0
  }
  const sealed = await database.$count(
    tenant_plugins,
    and(eq(tenant_plugins.tenant_id, tenant.id), isNotNull(tenant_plugins.sealed_secrets)),
  )
  const secrets = sealed === 0 ? 'none' : leaveSecrets ? 'left out' : 'sealed'
  return {
    format,
    version: formatVersion,
    schema: newestSchema,
    exported_at: clock.now().toISOString(),
    tenant,
    secrets,
    note: notes[secrets],
    counts,
  }
}

/** All rows of the tenant in a table, by its primary key. */
async function* pages(database: Database, { table, owner, key }: TenantTable, id: string): AsyncGenerator<Row[]> {
  let after: SQL | undefined
  let full = true
  while (full) {
    const rows: Row[] = await database
      .select()
      .from(table)
      .where(and(eq(owner, id), after))
      .orderBy(...key.map((column) => asc(column)))
      .limit(rowsAtOnce)
    if (rows.length > 0) yield rows
    const last = rows.at(-1)
    full = rows.length === rowsAtOnce && last !== undefined && key.length > 0
    if (full && last) after = behind(key, last)
  }
}

function behind(key: TenantTable['key'], last: Row): SQL | undefined {
  const [first] = key
  if (!first) return undefined
  if (key.length === 1) return gt(first, last[first.name])
  const values = key.map((column) => sql`${sql.param(last[column.name], column)}`)
  return sql`(${sql.join([...key], sql`, `)}) > (${sql.join(values, sql`, `)})`
}
