import { count } from 'drizzle-orm'
import { type TenantTable, tenantTables } from '../database/catalogue'
import type { Database } from '../database/database'
import { dialect } from '../database/dialect'
import { Scope } from '../database/session'
import { raw } from '../database/snapshot'

/** How many rows each tenant has, by table. */
export type Census = Map<string, Map<string, number>>

/** Counts all rows of all tables that have an owner, and on SQLite the entries of the search index. */
export async function takeCensus(database: Database): Promise<Census> {
  const census: Census = new Map()
  for (const table of tenantTables) census.set(table.name, await rowsByOwner(database, table))
  if (dialect === 'sqlite') census.set('conversation_search', await searchEntries())
  return census
}

async function rowsByOwner(database: Database, { table, owner }: TenantTable): Promise<Map<string, number>> {
  const rows = await database.select({ owner, rows: count() }).from(table).groupBy(owner)
  return new Map(rows.map((row) => [String(row.owner), row.rows]))
}

/** The index names a tenant by the first word of `scope`, and so does what waits for it; see drizzle/sqlite/. */
async function searchEntries(): Promise<Map<string, number>> {
  const text = `select substr(scope, 2, 32), count(*) from
    (select scope from conversation_search union all select scope from conversation_search_waiting) group by 1`
  const rows = ((await Scope.current()?.run(raw(text))) ?? []) as [string, number][]
  const dashed = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return new Map(rows.map(([tenant, entries]) => [dashed(tenant), entries]))
}
