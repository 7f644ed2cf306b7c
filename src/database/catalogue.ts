import { getTableColumns, getTableName, is, Table } from 'drizzle-orm'
import { getTableConfig as ofPostgres, type PgColumn } from 'drizzle-orm/pg-core'
import { getTableConfig as ofSqlite } from 'drizzle-orm/sqlite-core'
import { dialect } from './dialect'
import * as schema from './tables'

/** A table whose rows belong to tenants each, or that of the tenants. */
export type TenantTable = {
  readonly name: string
  readonly table: AnyTable
  readonly columns: Readonly<Record<string, PgColumn>>
  /** Says whose a row is. */
  readonly owner: PgColumn
  /** What else its primary key is made of; nothing where a tenant has one row. */
  readonly key: readonly PgColumn[]
  readonly byTriggers: boolean
}

type AnyTable = typeof schema.tenants

/** The cast is safe because nobody learns the type of a row by it: here a row is whatever the columns say. */
const tables = Object.values(schema).filter((value) => is(value, Table)) as AnyTable[]

/** Both have the same fields; only the types of the tables differ. */
const configOf = dialect === 'postgres' ? ofPostgres : (ofSqlite as unknown as typeof ofPostgres)

/** Triggers write these while rows of other tables come in, so they come after them; see drizzle/*\/0003_analytics.sql. */
const byTriggers: readonly string[] = [schema.message_days, schema.usage_days].map((table) => getTableName(table))

/** All tables with rows of tenants, read from tables.ts, each after those that it refers to or is filled from. */
export const tenantTables: readonly TenantTable[] = inOrder(
  tables.toSorted((one, other) => Number(isByTriggers(one)) - Number(isByTriggers(other))),
).flatMap((table) => {
  const columns: Record<string, PgColumn> = getTableColumns(table)
  const owner = table === schema.tenants ? columns.id : columns.tenant_id
  if (!owner) return []
  const { primaryKeys } = configOf(table)
  const primary = primaryKeys[0]?.columns ?? Object.values(columns).filter((column) => column.primary)
  const key = primary.filter(({ name }) => name !== owner.name)
  return [{ name: getTableName(table), table, columns, owner, key, byTriggers: isByTriggers(table) }]
})

function isByTriggers(table: AnyTable): boolean {
  return byTriggers.includes(getTableName(table))
}

function inOrder(left: readonly AnyTable[]): AnyTable[] {
  const ordered: AnyTable[] = []
  const visit = (table: AnyTable, below: readonly Table[]) => {
    if (ordered.includes(table) || below.includes(table)) return
    for (const key of configOf(table).foreignKeys) {
      const { foreignTable } = key.reference()
      const parent = tables.find((each) => getTableName(each) === getTableName(foreignTable))
      if (parent) visit(parent, [...below, table])
    }
    ordered.push(table)
  }
  for (const table of left) visit(table, [])
  return ordered
}
