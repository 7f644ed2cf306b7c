import { afterAll, describe, expect, test } from 'bun:test'
import { eq, getTableName } from 'drizzle-orm'
import { asTenant } from '../../../src/database/reach'
import * as schema from '../../../src/database/tables'
import { everything, ownDatabase } from '../../own-database'
import { fillEveryTable, idOf, isOf, tables } from '../../rows-of-tenants'

const own = await ownDatabase()
afterAll(() => own[Symbol.asyncDispose]())
const { database } = own

/** What triggers write when a message or a usage record is stored. */
const rolledUp = { message_days: true, usage_days: true }

describe('deleting a tenant', () => {
  test("removes every row of it from every table, and leaves the other tenant's rows as they were", async () => {
    await fillEveryTable(database)
    const before = await everything(own)

    const a = idOf('a', 'tenant_id')
    await asTenant(a, () => database.delete(schema.tenants).where(eq(schema.tenants.id, a)))

    const after = await everything(own)
    const [ofA, ofB] = [isOf('a'), isOf('b')]
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
