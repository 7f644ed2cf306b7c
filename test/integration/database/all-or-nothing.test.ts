import { describe, expect, test } from 'bun:test'
import { fillDemo } from '../../../src/demo'
import { newId } from '../../../src/ids'
import { type Ledger, quotaLedger } from '../../../src/quotas/ledger'
import { openMonth } from '../../../src/quotas/months'
import { monthOf } from '../../../src/quotas/windows'
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

describe('A reservation of a quota', () => {
  type Reserved = { tenant_id: string; id: string; tokens: number }
  type Step = (ledger: Ledger, reserved: Reserved) => Promise<unknown>
  const later = new Date('2026-03-03T09:00:00.000Z')
  const again: Step = (ledger, { tenant_id, tokens }) =>
    ledger.reserve({ tenant_id, id: newId(clock), month: '2026-03', tokens, expires_at: later }, 10_000)
  const steps: [string, string, Step][] = [
    ['made', 'quota_reservations', again],
    ['settled', 'quota_months', (ledger, { tenant_id, id }) => ledger.settle(tenant_id, id, 300)],
    ['given back', 'quota_months', (ledger, reserved) => ledger.lapse(reserved, later)],
  ]
  test.each(steps)('is %s whole or not at all', async (_, table, step) => {
    await using own = await ownDatabase({ unbound: true })
    const tenant_id = await createTenant({ ...own, clock }, { slug: 'acme', name: 'Acme' })
    const reserved = { tenant_id, id: newId(clock), tokens: 500 }
    const ledger = quotaLedger(own.database)
    await openMonth(own.database, tenant_id, monthOf(clock.now()))
    await ledger.reserve({ ...reserved, month: '2026-03', expires_at: later }, 10_000)
    const state = async () => [
      await rowsOf(own, 'select used, reserved from quota_months'),
      await rowsOf(own, 'select id, tokens from quota_reservations'),
    ]
    const before = await state()

    await rowsOf(own, `alter table ${table} rename to away`)
    const broken = await step(ledger, reserved).then(
      () => 'done',
      () => 'failed',
    )
    await rowsOf(own, `alter table away rename to ${table}`)
    const after = await state()
    await step(ledger, reserved)

    expect(broken).toBe('failed')
    expect(after).toEqual(before)
    expect(await state()).not.toEqual(before)
  })
})
