import { describe, expect, test } from 'bun:test'
import { fillDemo } from '../../../src/demo'
import { createTenant } from '../../../src/tenants/store'
import { ownDatabase, rowsOf } from '../../own-database'

const clock = { now: () => new Date('2026-03-02T09:00:00.000Z') }
type Database = Awaited<ReturnType<typeof ownDatabase>>

/** What writes to several tables, and the last one that it writes to. */
const works: [string, string, (database: Database) => Promise<unknown>][] = [
  ['a tenant', 'tenant_settings', (own) => createTenant({ ...own, clock }, { slug: 'acme', name: 'Acme' })],
  ['the demo', 'usage_records', ({ database }) => fillDemo(database, clock)],
]

describe('What is made in several tables', () => {
  test.each(works)('is there whole or not at all: %s', async (_, table, make) => {
    await using whole = await ownDatabase({ unbound: true })
    await using broken = await ownDatabase({ unbound: true })
    await rowsOf(broken, `drop table ${table}`)

    const made = await make(whole).then(
      () => 'made',
      () => 'failed',
    )
    const failed = await make(broken).then(
      () => 'made',
      () => 'failed',
    )

    const slugs = [await rowsOf(whole, 'select slug from tenants'), await rowsOf(broken, 'select slug from tenants')]
    expect([made, failed]).toEqual(['made', 'failed'])
    expect(slugs.map((rows) => rows.some(({ slug }) => slug === 'acme'))).toEqual([true, false])
    expect(slugs[1]).toEqual([])
  })
})
