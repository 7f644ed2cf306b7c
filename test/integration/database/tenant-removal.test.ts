import { afterAll, describe, expect, test } from 'bun:test'
import { eq, getTableColumns, getTableName, is, Table } from 'drizzle-orm'
import * as schema from '../../../src/database/tables'
import { everything, ownDatabase } from '../../own-database'

const own = await ownDatabase()
afterAll(() => own[Symbol.asyncDispose]())
const { database } = own

type AnyTable = typeof schema.tenants
const tables = Object.values(schema).filter((table) => is(table, Table)) as AnyTable[]

/** The same for every column of the same name, and for the `id` of the table whose rows that name speaks of. */
const idOf = (tenant: 'a' | 'b', name: string) =>
  `0196${tenant}000-0000-7000-8000-${new Bun.CryptoHasher('sha1').update(name).digest('hex').slice(0, 12)}`

/** A row of any table, from what its columns are declared to hold: a table added tomorrow gets one without a change here. */
function rowOf(table: Table, tenant: 'a' | 'b'): Record<string, unknown> {
  const singular = getTableName(table).replace(/ies$/, 'y').replace(/s$/, '')
  return Object.fromEntries(
    Object.entries(getTableColumns(table)).map(([name, { dataType, enumValues }]) => {
      if (name === 'id') return [name, idOf(tenant, `${singular}_id`)]
      if (name.endsWith('_id')) return [name, idOf(tenant, name)]
      if (dataType === 'string') return [name, enumValues?.[0] ?? `${name}-of-${tenant}`]
      return [
        name,
        { number: 1, boolean: true, date: new Date('2026-03-02T09:00:00.000Z'), json: {} }[dataType as 'json'],
      ]
    }),
  )
}

/** A row in every table for each of two tenants; a table waits until those it refers to have theirs. */
async function fill(): Promise<void> {
  for (const tenant of ['a', 'b'] as const) {
    let left = tables
    while (left.length > 0) {
      const refused: { table: AnyTable; error: unknown }[] = []
      for (const table of left) {
        const values = rowOf(table, tenant) as AnyTable['$inferInsert']
        await database
          .insert(table)
          .values(values)
          .catch((error: unknown) => refused.push({ table, error }))
      }
      if (refused.length === left.length) throw refused[0]?.error
      left = refused.map(({ table }) => table)
    }
  }
}

/** What triggers write when a message or a usage record is stored. */
const rolledUp = { message_days: true, usage_days: true }

describe('deleting a tenant', () => {
  test("removes every row of it from every table, and leaves the other tenant's rows as they were", async () => {
    await fill()
    const before = await everything(own)

    await database.delete(schema.tenants).where(eq(schema.tenants.id, idOf('a', 'tenant_id')))

    const after = await everything(own)
    const ofA = (row: object) =>
      JSON.stringify(row).replaceAll('-', '').includes(idOf('a', 'tenant_id').replaceAll('-', ''))
    const ofB = (row: object) =>
      JSON.stringify(row).replaceAll('-', '').includes(idOf('b', 'tenant_id').replaceAll('-', ''))
    for (const name of tables.map(getTableName)) {
      // Triggers made some more of them.
      expect({ name, rows: before[name]?.filter(ofA).length ?? 0 }).toEqual({ name, rows: name in rolledUp ? 2 : 1 })
      expect({ name, rows: after[name] }).toEqual({ name, rows: before[name]?.filter(ofB) })
    }
    // Tables that the schema file does not know, such as a search index.
    expect(Object.entries(after).filter(([, rows]) => rows.some(ofA))).toEqual([])
    expect(Object.keys(after).filter((name) => after[name]?.some(ofB)).length).toBeGreaterThanOrEqual(tables.length)
  })
})
