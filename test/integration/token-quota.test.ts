import { signToken } from '../../src/auth/tokens'
import type { Clock } from '../../src/ids'
import { ProviderFailure } from '../../src/providers/provider'
import { events } from '../../src/testing'
import type { User } from '../../src/users/schema'
import { describe, expect, type Fixtures, jwtConfig, test } from '../kit'
import { quotaMonths, quotaReservations } from '../quota-rows'
import { bearer } from './token'

const path = '/api/v1/chat'
const settings = '/api/v1/admin/tenant/settings'
/** Two tokens by our own count: a chat reserves these and 1000 for the reply. */
const hello = { message: 'Hello' }
const costs500 = { prompt_tokens: 300, completion_tokens: 200 }
/** From the tests' 2 March, 9:00, to April. */
const restOfMarch = 29 * 86_400 + 15 * 3600
const march = 31 * 86_400
const policy = (quota: number, seconds = march) => `"tokens";q=${quota};qu="tokens";w=${seconds}`
const left = (tokens: number, seconds = restOfMarch) => `"tokens";r=${tokens};t=${seconds}`

const quotaOf =
  (monthly_token_quota: number) =>
  async ({ adminA }: Fixtures) => {
    await adminA.patch(settings, { monthly_token_quota })
    return { monthly_token_quota }
  }

describe('monthly_token_quota of 10000', { seed: quotaOf(10_000) }, (test) => {
  test('is told with what is left of it: without what replies cost and running ones hold', async ({
    operatorA,
    adminA,
    model,
  }) => {
    model.says('One', costs500).does({ type: 'hang' }, { type: 'text', text: 'Two' }, { type: 'end' }).says('Three')
    const first = await operatorA.post(path, hello)
    const running = adminA.post(path, hello)
    await model.hanging

    const third = await operatorA.post(path, { ...hello, stream: true })

    expect(first).toMatchObject({
      status: 200,
      headers: { 'ratelimit-policy': policy(10_000), ratelimit: left(10_000 - 1002) },
    })
    expect(third).toMatchObject({
      status: 200,
      headers: { 'ratelimit-policy': policy(10_000), ratelimit: left(10_000 - 500 - 2 * 1002) },
    })
    model.release()
    expect((await running).status).toBe(200)
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 500 + (2 + 1) + (2 + 2), reserved: 0 }])
    expect(await quotaReservations()).toEqual([])
  })

  test('stands beside the other limit in both headers', async ({ operatorA, adminA, model }) => {
    model.says('One', costs500)
    await adminA.patch(settings, { requests_per_minute: 60 })

    const { headers } = await operatorA.post(path, hello)

    expect(headers).toMatchObject({
      'ratelimit-policy': `"requests";q=60;w=60, ${policy(10_000)}`,
      ratelimit: `"requests";r=59;t=60, ${left(10_000 - 1002)}`,
    })
  })

  test.each<[string, { prompt_tokens: number; completion_tokens: number } | undefined]>([
    ['nothing', undefined],
    ['less than nothing', { prompt_tokens: -5000, completion_tokens: -1 }],
    ['more than can be', { prompt_tokens: 2 ** 60, completion_tokens: 2 ** 60 }],
    ['zero', { prompt_tokens: 0, completion_tokens: 0 }],
  ])('counts an estimate where the model reports %s', async (_, usage, { operatorA, model }) => {
    model.says('One', costs500).says('Twelve chars', usage)
    await operatorA.post(path, hello)

    await operatorA.post(path, { message: 'Eight ch' })

    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 505, reserved: 0 }])
  })

  test('is not used up by a chat that fails before the model says anything', async ({ operatorA, model }) => {
    const nobody = '01890000-0000-7000-8000-000000000000'
    model.fails(new ProviderFailure('The provider answered with status 500.', 'failed'))

    const failed = [
      await operatorA.post(path, { ...hello, conversation_id: nobody }),
      await operatorA.post(path, hello),
    ]

    expect(failed.map(({ status }) => status)).toEqual([404, 502])
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 0, reserved: 0 }])
    expect(await quotaReservations()).toEqual([])
  })

  test('is used up by what a reply cost that its reader left', async ({ operatorA, model, settle }) => {
    model.does({ type: 'text', text: 'Eight ch' }, { type: 'hang' })
    const stop = new AbortController()
    const response = await operatorA.send('POST', path, { body: { ...hello, stream: true }, signal: stop.signal })
    await events(response).next()

    stop.abort()
    await response.body?.cancel().catch(() => {})
    await settle()

    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 2 + 2, reserved: 0 }])
    expect(await quotaReservations()).toEqual([])
  })
})

describe('monthly_token_quota of 500', { seed: quotaOf(500) }, (test) => {
  test('refuses chats when it is used up, until the next month', async ({ operatorA, adminA, users, model, clock }) => {
    model.says('One', costs500).says('In April')
    const last = await operatorA.post(path, hello)

    const refused = await adminA.post(path, hello)

    expect(last.status).toBe(200)
    expect(refused).toMatchObject({
      status: 429,
      headers: { 'retry-after': String(restOfMarch), 'ratelimit-policy': policy(500), ratelimit: left(0) },
      body: { code: 'quota_exceeded', title: 'The quota is used up' },
    })
    expect(model.asked).toHaveLength(1)
    expect(await operatorA.get('/api/v1/conversations')).toMatchObject({ headers: { 'x-total-count': '1' } })
    clock.advance({ seconds: restOfMarch })
    expect(await operatorA.post(path, hello, await tokenNow(users.operatorA, clock))).toMatchObject({
      status: 200,
      headers: { 'ratelimit-policy': policy(500, 30 * 86_400), ratelimit: left(0, 30 * 86_400) },
    })
  })

  test('is still used up when the clock goes back from the next month', async ({ operatorA, users, model, clock }) => {
    model.says('One', costs500).says('In April', { prompt_tokens: 3, completion_tokens: 2 })
    await operatorA.post(path, hello)
    clock.advance({ seconds: restOfMarch })
    await operatorA.post(path, hello, await tokenNow(users.operatorA, clock))

    clock.advance({ seconds: -1 })
    const back = await operatorA.post(path, hello, await tokenNow(users.operatorA, clock))

    expect(back).toMatchObject({ status: 429, headers: { 'retry-after': '1' }, body: { code: 'quota_exceeded' } })
    expect(await quotaMonths()).toEqual([
      { month: '2026-03', used: 500, reserved: 0 },
      { month: '2026-04', used: 5, reserved: 0 },
    ])
  })

  test('counts a reply in the month in which it was asked for', async ({ operatorA, users, model, clock }) => {
    model.does({ type: 'hang' }, { type: 'text', text: 'Late' }, { type: 'usage', usage: costs500 }, { type: 'end' })
    clock.advance({ seconds: restOfMarch - 1 })
    const token = await tokenNow(users.operatorA, clock)
    const asked = operatorA.post(path, hello, token)
    await model.hanging
    clock.advance({ seconds: 1 })
    model.says('In April', { prompt_tokens: 4, completion_tokens: 3 })

    const inApril = await operatorA.post(path, hello, token)
    model.release()

    expect([inApril.status, (await asked).status]).toEqual([200, 200])
    expect(await quotaMonths()).toEqual([
      { month: '2026-03', used: 500, reserved: 0 },
      { month: '2026-04', used: 7, reserved: 0 },
    ])
  })

  test("is the tenant's own", async ({ operatorA, adminB, model }) => {
    model.says('One', costs500).says('Of B', costs500).says('Of B, limited', costs500)
    await operatorA.post(path, hello)

    const unlimited = await adminB.post(path, hello)
    await adminB.patch(settings, { monthly_token_quota: 9000 })
    const limited = await adminB.post(path, hello)

    expect(unlimited.status).toBe(200)
    expect(unlimited.headers).not.toHaveProperty('ratelimit')
    expect(limited).toMatchObject({ status: 200, headers: { ratelimit: left(9000 - 500 - 1002) } })
    expect((await operatorA.post(path, hello)).status).toBe(429)
  })

  test('can be raised, lowered and removed, from the next chat on, and counts in between', async (world) => {
    const { operatorA, adminA, model } = world
    model.says('One', costs500).says('Raised', costs500).says('Removed', costs500).says('Again', costs500)
    await operatorA.post(path, hello)

    await adminA.patch(settings, { monthly_token_quota: 501 })
    const raised = await operatorA.post(path, hello)
    await adminA.patch(settings, { monthly_token_quota: 1000 })
    const lowered = await operatorA.post(path, hello)
    await adminA.patch(settings, { monthly_token_quota: null })
    const removed = await operatorA.post(path, hello)
    await adminA.patch(settings, { monthly_token_quota: 1500 })
    const again = await operatorA.post(path, hello)

    expect([raised, lowered, removed, again].map(({ status }) => status)).toEqual([200, 429, 200, 429])
    expect(removed.headers).not.toHaveProperty('ratelimit')
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 1500, reserved: 0 }])
  })

  test('repeats the answer of an Idempotency-Key when it is used up', async ({ operatorA, model }) => {
    model.says('One', costs500)
    const keyed = { headers: { 'idempotency-key': 'key-1' } }
    const first = await operatorA.post(path, hello, keyed)

    const again = await operatorA.post(path, hello, keyed)
    const stream = await operatorA.post(path, { ...hello, stream: true }, keyed)

    expect(again).toMatchObject({ status: 200, headers: { 'idempotency-replayed': 'true' }, body: first.body })
    expect(stream).toMatchObject({ status: 200, body: [{ event: 'token' }, { event: 'done', data: first.body }] })
    expect((await operatorA.post(path, hello)).status).toBe(429)
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 500, reserved: 0 }])
  })

  test('is held once by a request that is sent twice at the same time', async ({ operatorA, adminA, model }) => {
    await adminA.patch(settings, { monthly_token_quota: 10_000 })
    const keyed = { headers: { 'idempotency-key': 'key-1' } }
    model.does({ type: 'hang' }, { type: 'text', text: 'One' }, { type: 'usage', usage: costs500 }, { type: 'end' })
    const first = operatorA.post(path, hello, keyed)
    await model.hanging

    const second = await operatorA.post(path, hello, keyed)

    expect(second.status).toBe(409)
    expect(await quotaReservations()).toEqual([{ tokens: 1002 }])
    model.release()
    expect((await first).status).toBe(200)
    expect(await quotaMonths()).toEqual([{ month: '2026-03', used: 500, reserved: 0 }])
  })

  test('does not repeat an answer for another body, another user or a key that failed', async (world) => {
    const { operatorA, adminA, model } = world
    const [answered, failed] = [{ headers: { 'idempotency-key': 'a' } }, { headers: { 'idempotency-key': 'b' } }]
    model.fails(new ProviderFailure('The provider answered with status 500.', 'failed')).says('One', costs500)
    await operatorA.post(path, hello, failed)
    await operatorA.post(path, hello, answered)

    const refused = [
      await operatorA.post(path, { message: 'Other' }, answered),
      await adminA.post(path, hello, answered),
      await operatorA.post(path, hello, failed),
    ]

    expect(refused.map(({ status, body }) => [status, body.code])).toEqual([
      [429, 'quota_exceeded'],
      [429, 'quota_exceeded'],
      [429, 'quota_exceeded'],
    ])
    expect((await operatorA.post(path, hello, answered)).status).toBe(200)
  })
})

describe('monthly_token_quota of 1', { seed: quotaOf(1) }, (test) => {
  test('admits one of fifty at once', async ({ operatorA, model }) => {
    model.says('One')

    const answers = await Promise.all(Array.from({ length: 50 }, () => operatorA.post(path, hello)))

    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 49 }, () => 429)])
    expect(model.asked).toHaveLength(1)
  })
})

describe('A quota that is set in the middle of a month', () => {
  test.each([
    [1000, 429],
    [1001, 200],
  ] as const)(
    'counts what was used before: %i after 1000 is %i',
    async (quota, status, { operatorA, adminA, adminB, model }) => {
      model.says('One', costs500).says('Two', costs500).says('Of B', costs500).says('Three')
      await operatorA.post(path, hello)
      await operatorA.post(path, hello)
      await adminB.post(path, hello)

      await adminA.patch(settings, { monthly_token_quota: quota })

      expect(await operatorA.post(path, hello)).toMatchObject({ status })
      model.forget()
    },
  )

  test('does not count what was used in a month to come, by a clock that was ahead', async (world) => {
    const { operatorA, adminA, users, model, clock } = world
    model.says('In April', costs500).says('In March', costs500)
    clock.advance({ seconds: restOfMarch })
    await operatorA.post(path, hello, await tokenNow(users.operatorA, clock))
    clock.advance({ seconds: -restOfMarch })
    await adminA.patch(settings, { monthly_token_quota: 500 })

    const first = await operatorA.post(path, hello)
    const second = await operatorA.post(path, hello)

    expect([first.status, second.status]).toEqual([200, 429])
  })

  test('does not count what was used in other months', async ({ operatorA, adminA, users, model, clock }) => {
    model.says('In March', costs500).says('In April')
    await operatorA.post(path, hello)
    clock.advance({ seconds: restOfMarch })
    const token = await tokenNow(users.operatorA, clock)
    await adminA.patch(settings, { monthly_token_quota: 500 }, await tokenNow(users.adminA, clock))

    const inApril = await operatorA.post(path, hello, token)

    expect(inApril.status).toBe(200)
  })

  test('of 0 refuses the first chat', async ({ operatorA, adminA }) => {
    await adminA.patch(settings, { monthly_token_quota: 0 })

    const refused = await operatorA.post(path, hello)

    expect(refused).toMatchObject({ status: 429, headers: { ratelimit: left(0) }, body: { code: 'quota_exceeded' } })
  })

  test('is told as the largest number that a header has', async ({ operatorA, adminA, model }) => {
    model.says('One')
    await adminA.patch(settings, { monthly_token_quota: Number.MAX_SAFE_INTEGER })

    const { headers } = await operatorA.post(path, hello)

    expect(headers).toMatchObject({
      'ratelimit-policy': policy(999_999_999_999_999),
      ratelimit: left(999_999_999_999_999),
    })
  })
})

/** Its own token would have expired when a month is over. */
const tokenNow = async ({ external_id, tenant_id, role }: User, clock: Clock) =>
  bearer(await signToken({ sub: external_id, tenant_id, role }, jwtConfig, clock, 3600))
