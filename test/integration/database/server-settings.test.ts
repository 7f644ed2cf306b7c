import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from '../../../src/database/database'
import { dialect } from '../../../src/database/dialect'
import { migrate } from '../../../src/database/migrate'
import { tenants } from '../../../src/database/tables'
import { createTenant } from '../../../src/tenants/store'
import { emptyDatabase, rowsOf, seeingAll } from '../../own-database'

// Making a database takes as long as the machine is busy.
setDefaultTimeout(60_000)

/** What an administrator of the server, or of the database, may have said for all who connect. */
const settings: [string, string][] = [
  ['datestyle', 'SQL, DMY'],
  ['datestyle', 'German'],
  ['timezone', 'Pacific/Kiritimati'],
]

describe.if(dialect === 'postgres')('on a database that has a setting of its own', () => {
  test.each(settings)('times are read as they were written: %s = %s', async (name, value) => {
    await using empty = await emptyDatabase()
    {
      await using first = connect(empty.url)
      const set = `alter database %I set ${name} = %L`
      await rowsOf(first, `do $$ begin execute format('${set}', current_database(), '${value}'); end $$`)
    }
    await using connection = connect(empty.url)
    await migrate(connection.root)
    const { database } = connection
    const now = new Date('2026-03-02T09:00:00.123Z')

    await seeingAll(() => createTenant({ database, clock: { now: () => now } }, { name: 'Acme', slug: 'acme' }))

    const found = await seeingAll(() => database.select({ created_at: tenants.created_at }).from(tenants))
    expect(found).toEqual([{ created_at: now }])
  })
})
