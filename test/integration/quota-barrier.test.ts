import { expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { tenant_settings } from '../../src/database/tables'
import { newId, systemClock } from '../../src/ids'
import { echoProvider } from '../../src/providers/echo'
import { quotaLedger } from '../../src/quotas/ledger'
import { openMonth } from '../../src/quotas/months'
import { countRequest } from '../../src/quotas/requests'
import { minuteOf, monthOf } from '../../src/quotas/windows'
import { createTenant } from '../../src/tenants/store'
import { overAll, ownDatabase, rowsOf, seeingAll } from '../own-database'
import { ownService } from '../own-service'

// Each has a database of its own, and fifty transactions in it.
setDefaultTimeout(60_000)

const now = new Date('2026-03-02T09:00:00.000Z')
const standing = { now: () => now }
const fifty = Array.from({ length: 50 }, (_, n) => n)
const oneOfFifty = [200, ...Array.from({ length: 49 }, () => 429)]

test.each([
  ['monthly_token_quota', { monthly_token_quota: 1 }],
  ['requests_per_minute', { requests_per_minute: 1 }],
] as const)('%s: of fifty chats on many connections one is admitted', async (_, limits) => {
  await using service = await ownService(echoProvider, { clock: standing })
  await seeingAll(() => service.deps.database.update(tenant_settings).set(limits))

  const answers = await Promise.all(fifty.map(() => service.operator.post('/api/v1/chat', { message: 'Hello' })))

  expect(answers.map(({ status }) => status).sort()).toEqual(oneOfFifty)
  expect(service.errors).toEqual([])
})

test.each([
  ['monthly_token_quota', { monthly_token_quota: 1_000_000 }],
  ['requests_per_minute', { requests_per_minute: 50 }],
] as const)('%s: fifty chats at once are all admitted where there is room', async (_, limits) => {
  await using service = await ownService(echoProvider, { clock: standing })
  await seeingAll(() => service.deps.database.update(tenant_settings).set(limits))

  const answers = await Promise.all(fifty.map(() => service.operator.post('/api/v1/chat', { message: 'Hello' })))

  expect(answers.map(({ status }) => status)).toEqual(fifty.map(() => 200))
  expect(service.errors).toEqual([])
})

/**
 * A tenant in a database that two pools share, as two processes do. Not on SQLite: its connections wait for each other
 * without letting anything else run, and so for ever within one process; test/process has two.
 */
async function twoPools() {
  await using stack = new AsyncDisposableStack()
  const own = stack.use(await ownDatabase())
  const other = dialect === 'postgres' ? stack.use(connect(own.url)) : own
  const tenant_id = await createTenant({ database: own.database, clock: systemClock }, { name: 'Acme', slug: 'acme' })
  const pool = (n: number) => (n % 2 === 0 ? own : other).database
  const kept = stack.move()
  return { own, tenant_id, pool, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

test(
  'fifty requests over two pools are counted one by one, and not beyond the limit',
  overAll(async () => {
    await using two = await twoPools()

    const counts = await Promise.all(fifty.map((n) => countRequest(two.pool(n), two.tenant_id, 20, minuteOf(now))))

    const admitted = counts.filter((count) => count !== undefined)
    expect(admitted.sort((one, other) => one - other)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
  }),
)

test(
  'fifty reservations over two pools hold what the quota has room for, and settle to what they came to',
  overAll(async () => {
    await using two = await twoPools()
    const { own, tenant_id } = two
    await Promise.all([own.database, two.pool(1)].map((database) => openMonth(database, tenant_id, monthOf(now))))
    const reservation = { tenant_id, month: '2026-03', tokens: 10, expires_at: now }
    const ids = fifty.map(() => newId(standing))

    const reserved = await Promise.all(
      ids.map((id, n) => quotaLedger(two.pool(n)).reserve({ ...reservation, id }, 195)),
    )
    const held = await rowsOf(own, 'select used, reserved from quota_months')
    // Each twice and some lapsed at the same time, as where a reply ends while another process takes it for dead.
    await Promise.all(
      ids.flatMap((id, n) => [
        quotaLedger(two.pool(n)).settle(tenant_id, id, 7),
        quotaLedger(two.pool(n + 1)).lapse({ tenant_id, id, tokens: 10 }, now),
        quotaLedger(two.pool(n + 1)).settle(tenant_id, id, 7),
      ]),
    )

    expect(reserved.filter((count) => count !== undefined)).toHaveLength(20)
    expect(numbers(held)).toEqual([{ used: 0, reserved: 200 }])
    expect(numbers(await rowsOf(own, 'select used, reserved from quota_months'))).toEqual([{ used: 140, reserved: 0 }])
    expect(await rowsOf(own, 'select id from quota_reservations')).toEqual([])
  }),
)

/** Postgres hands out large numbers as text where nobody says otherwise. */
const numbers = (rows: Record<string, unknown>[]) =>
  rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)])))
