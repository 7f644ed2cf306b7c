import { getTableColumns, getTableName, is, Table } from 'drizzle-orm'
import type { Database } from '../src/database/database'
import { asTenant } from '../src/database/reach'
import * as schema from '../src/database/tables'

type AnyTable = typeof schema.tenants
export const tables = Object.values(schema).filter((table) => is(table, Table)) as AnyTable[]

/** The same for every column of the same name, and for the `id` of the table whose rows that name speaks of. */
export const idOf = (tenant: 'a' | 'b', name: string) =>
  `0196${tenant}000-0000-7000-8000-${new Bun.CryptoHasher('sha1').update(name).digest('hex').slice(0, 12)}`

/** Of columns that do not take anything of their type. */
const fitting: Record<string, unknown> = {
  cron: '0 0 * * *',
  latency: '[205,1]',
  tool_call: { name: 'clock', arguments: {} },
}

/** A row of any table, from what its columns are declared to hold: a table added tomorrow gets one without a change here. */
export function rowOf<T extends Table>(table: T, tenant: 'a' | 'b'): T['$inferInsert'] {
  const singular = getTableName(table).replace(/ies$/, 'y').replace(/s$/, '')
  const row = Object.fromEntries(
    Object.entries(getTableColumns(table)).map(([name, { dataType, enumValues }]) => {
      if (name === 'id') return [name, idOf(tenant, `${singular}_id`)]
      if (name.endsWith('_id')) return [name, idOf(tenant, name)]
      if (Object.hasOwn(fitting, name)) return [name, fitting[name]]
      if (dataType === 'string') return [name, enumValues?.[0] ?? `${name}-of-${tenant}`]
      return [
        name,
        { number: 1, boolean: true, date: new Date('2026-03-02T09:00:00.000Z'), json: {} }[dataType as 'json'],
      ]
    }),
  )
  return row as T['$inferInsert']
}

/** A row in every table for each of two tenants, by themselves; a table waits until those it refers to have theirs. */
export async function fillEveryTable(database: Database): Promise<void> {
  for (const tenant of ['a', 'b'] as const) {
    let left = tables
    while (left.length > 0) {
      const refused: { table: AnyTable; error: unknown }[] = []
      for (const table of left) {
        await asTenant(idOf(tenant, 'tenant_id'), () => database.insert(table).values(rowOf(table, tenant))).catch(
          (error: unknown) => refused.push({ table, error }),
        )
      }
      if (refused.length === left.length) throw refused[0]?.error
      left = refused.map(({ table }) => table)
    }
  }
}

/** Whether a row is of this tenant, in whichever spelling its id stands there. */
export const isOf = (tenant: 'a' | 'b') => (row: object) =>
  JSON.stringify(row).replaceAll('-', '').includes(idOf(tenant, 'tenant_id').replaceAll('-', ''))
