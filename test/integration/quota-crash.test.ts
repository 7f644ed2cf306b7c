import { usage_records } from '../../src/database/tables'
import { newId } from '../../src/ids'
import { quotaLedger } from '../../src/quotas/ledger'
import { openMonth } from '../../src/quotas/months'
import { reconcileQuotas } from '../../src/quotas/reconcile'
import { monthOf } from '../../src/quotas/windows'
import { database, deps, describe, expect, type Fixtures } from '../kit'
import { quotaMonths, quotaReservations } from '../quota-rows'

const path = '/api/v1/chat'
const settings = '/api/v1/admin/tenant/settings'
const hello = { message: 'Hello' }
const costs500 = { prompt_tokens: 300, completion_tokens: 200 }
const held = 800

/** What a process leaves that is killed while the model replies: a reservation for the next three minutes. */
const seed = async ({ adminA, tenantA, clock }: Fixtures) => {
  await adminA.patch(settings, { monthly_token_quota: held })
  const [now, id] = [clock.now(), newId(clock)]
  const expires_at = new Date(now.getTime() + 180_000)
  await openMonth(database, tenantA.id, monthOf(now))
  const reservation = { tenant_id: tenantA.id, id, month: '2026-03', tokens: held, expires_at }
  await quotaLedger(database).reserve(reservation, held)
  return { crashed: { tenant_id: tenantA.id, id } }
}

type Seeded = Fixtures & Awaited<ReturnType<typeof seed>>

/** The killed process had got as far as to store the reply. */
async function replyOf({ crashed, users, clock }: Seeded): Promise<void> {
  const { prompt_tokens, completion_tokens } = costs500
  const ids = { ...crashed, user_id: users.operatorA.id, conversation_id: newId(clock), message_id: newId(clock) }
  const counts = { model: 'm', prompt_tokens, completion_tokens, is_estimated: false, created_at: clock.now() }
  await database.insert(usage_records).values({ ...ids, ...counts })
}

describe('A process that was killed between reserving and settling', { seed }, (test) => {
  test('keeps others out while its reply might still come, and not longer', async ({ operatorA, model, clock }) => {
    model.says('Later', costs500)
    clock.advance({ ms: 179_999 })
    const early = await operatorA.post(path, hello)
    clock.advance({ ms: 1 })

    const later = await operatorA.post(path, hello)

    expect(early).toMatchObject({ status: 429, body: { code: 'quota_exceeded' } })
    expect(later.status).toBe(200)
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 500, reserved: 0 }])
  })

  test('has its stored reply counted by the next chat that comes after it expired', async (world) => {
    const { operatorA, model, clock } = world
    await replyOf(world)
    model.says('Later', costs500)
    clock.advance({ minutes: 3 })

    const last = await operatorA.post(path, hello)

    expect(last.status).toBe(200)
    expect((await operatorA.post(path, hello)).status).toBe(429)
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 1000, reserved: 0 }])
    expect(await quotaReservations()).toEqual([])
  })

  test('has its stored reply counted at once when a process starts, and only once', async (world) => {
    await replyOf(world)

    const changed = [await reconcileQuotas(deps), await reconcileQuotas(deps)]

    expect(changed).toEqual([1, 0])
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 500, reserved: 0 }])
    expect(await quotaReservations()).toEqual([])
  })

  test('is waited for when a process starts before its reservation expired', async ({ clock }) => {
    const before = await reconcileQuotas(deps)
    clock.advance({ minutes: 3 })

    const after = await reconcileQuotas(deps)

    expect([before, after]).toEqual([0, 1])
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 0, reserved: 0 }])
    expect(await quotaReservations()).toEqual([{ tokens: 0 }])
  })

  test("is waited for by the job of its tenant too, and has nobody else's tokens counted for it", async (world) => {
    const { tenantA, crashed, clock } = world
    await replyOf({ ...world, crashed: { ...crashed, id: newId(clock) } })
    const early = await reconcileQuotas(deps, tenantA.id)
    const held = await quotaReservations()
    clock.advance({ minutes: 3 })

    const changed = await reconcileQuotas(deps, tenantA.id)

    expect([early, held, changed]).toEqual([0, [{ tokens: 800 }], 1])
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 0, reserved: 0 }])
  })

  test('is taken for dead by two others at once, and what it held is given back once', async (world) => {
    const { tenantA, crashed, clock } = world
    const id = newId(clock)
    const beside = { tenant_id: tenantA.id, id, month: '2026-03', tokens: held, expires_at: clock.now() }
    await quotaLedger(database).reserve(beside, held + 1)
    const [before, later] = [await quotaMonths(), new Date(clock.now().getTime() + 180_000)]

    await quotaLedger(database).lapse({ ...crashed, tokens: held }, later)
    await quotaLedger(database).lapse({ ...crashed, tokens: held }, later)

    expect(before).toEqual([{ month: '2026-03', used: 0, reserved: 2 * held }])
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 0, reserved: held }])
    expect((await quotaReservations()).map(({ tokens }) => tokens).sort()).toEqual([0, held])
  })

  test('gives back to the month that it holds tokens of, and to no other', async ({ tenantA, clock }) => {
    await openMonth(database, tenantA.id, monthOf(new Date('2026-04-01')))
    const next = {
      tenant_id: tenantA.id,
      id: newId(clock),
      month: '2026-04',
      tokens: held,
      expires_at: new Date(clock.now().getTime() + 600_000),
    }
    await quotaLedger(database).reserve(next, held)
    clock.advance({ minutes: 3 })

    await reconcileQuotas(deps)

    expect(await quotaMonths()).toEqual([
      { month: '2026-03', used: 0, reserved: 0 },
      { month: '2026-04', used: 0, reserved: held },
    ])
  })

  test('gives back nothing that another tenant holds', async ({ tenantB, clock }) => {
    const now = clock.now()
    const expires_at = new Date(now.getTime() + 600_000)
    await openMonth(database, tenantB.id, monthOf(now))
    const running = { tenant_id: tenantB.id, id: newId(clock), month: '2026-03', tokens: held, expires_at }
    await quotaLedger(database).reserve(running, held)
    clock.advance({ minutes: 3 })

    await reconcileQuotas(deps)

    expect((await quotaMonths()).map(({ reserved }) => reserved).sort()).toEqual([0, held])
    expect((await quotaReservations()).map(({ tokens }) => tokens).sort()).toEqual([0, held])
  })

  test('is forgotten when nothing was heard of it for a day', async ({ clock }) => {
    clock.advance({ minutes: 3 })
    await reconcileQuotas(deps)
    clock.advance({ days: 1 })

    const forgotten = await reconcileQuotas(deps)

    expect([forgotten, await reconcileQuotas(deps)]).toEqual([1, 0])
    expect(await quotaReservations()).toEqual([])
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 0, reserved: 0 }])
  })

  test('under a clock that has been set back since is not waited for until that time comes again', async ({
    clock,
  }) => {
    clock.advance({ hours: -23 })
    const dayAtMost = await reconcileQuotas(deps)
    clock.advance({ hours: -3 })

    const longer = await reconcileQuotas(deps)

    expect([dayAtMost, longer]).toEqual([0, 1])
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 0, reserved: 0 }])
  })

  test('was not dead but slow: what it settles in the end is counted once', async ({ crashed, clock }) => {
    clock.advance({ minutes: 3 })
    await reconcileQuotas(deps)

    await quotaLedger(database).settle(crashed.tenant_id, crashed.id, 500)
    await quotaLedger(database).settle(crashed.tenant_id, crashed.id, 500)

    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 500, reserved: 0 }])
  })

  test('was not dead but slow: what was counted for it is not counted again', async (world) => {
    const { crashed } = world
    await replyOf(world)
    await reconcileQuotas(deps)

    await quotaLedger(database).settle(crashed.tenant_id, crashed.id, 500)

    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 500, reserved: 0 }])
  })

  test("leaves what it held of last month out of the new one's count", async ({ clock, tenantA, crashed }) => {
    clock.advance({ days: 30 })
    await openMonth(database, tenantA.id, monthOf(clock.now()))

    await quotaLedger(database).settle(crashed.tenant_id, crashed.id, 500)

    expect(await quotaMonths()).toEqual([
      { month: '2026-03', used: 500, reserved: 0 },
      { month: '2026-04', used: 0, reserved: 0 },
    ])
  })

  test("is another tenant's business", async ({ adminB, tenantB, crashed, model, clock }) => {
    await adminB.patch(settings, { monthly_token_quota: 501 })
    model.says('Of B', costs500).says('Of B again')
    await adminB.post(path, hello)
    clock.advance({ minutes: 3 })

    await quotaLedger(database).settle(tenantB.id, crashed.id, 300)
    const again = await adminB.post(path, hello)

    expect(again.status).toBe(200)
    expect(await quotaReservations()).toEqual([{ tokens: held }])
  })
})

describe('A reply that takes longer than its reservation is kept', (test) => {
  test('is counted once all the same', async ({ operatorA, adminA, model, clock }) => {
    await adminA.patch(settings, { monthly_token_quota: 800 })
    model.does({ type: 'hang' }, { type: 'text', text: 'Slow' }, { type: 'usage', usage: costs500 }, { type: 'end' })
    const slow = operatorA.post(path, hello)
    await model.hanging
    const meanwhile = await operatorA.post(path, hello)
    clock.advance({ minutes: 5 })
    model.says('Meanwhile', costs500)

    const after = await operatorA.post(path, hello)
    model.release()

    expect([meanwhile.status, after.status, (await slow).status]).toEqual([429, 200, 200])
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 1000, reserved: 0 }])
    expect(await quotaReservations()).toEqual([])
  })
})
