import { ProviderFailure } from '../../src/providers/provider'
import { describe, expect, type Fixtures, test } from '../kit'

const path = '/api/v1/chat'
const hello = { message: 'Hello' }
const settings = '/api/v1/admin/tenant/settings'
const ofTwo = '"requests";q=2;w=60'

const limitOf =
  (requests_per_minute: number) =>
  async ({ adminA }: Fixtures) => {
    await adminA.patch(settings, { requests_per_minute })
    return { requests_per_minute }
  }

describe('requests_per_minute of 2', { seed: limitOf(2) }, (test) => {
  test('lets two chats in, tells what is left, and refuses the third until the next minute', async ({
    operatorA,
    adminA,
    model,
    clock,
  }) => {
    model.says('One').says('Two').says('Three')
    const first = await operatorA.post(path, hello)
    clock.advance({ ms: 59_001 })
    const second = await adminA.post(path, hello)

    const refused = await operatorA.post(path, hello)

    expect(first).toMatchObject({
      status: 200,
      headers: { 'ratelimit-policy': ofTwo, ratelimit: '"requests";r=1;t=60' },
    })
    expect(second).toMatchObject({
      status: 200,
      headers: { 'ratelimit-policy': ofTwo, ratelimit: '"requests";r=0;t=1' },
    })
    expect(refused).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1', 'ratelimit-policy': ofTwo, ratelimit: '"requests";r=0;t=1' },
      body: { code: 'rate_limited', title: 'Too many requests' },
    })
    clock.advance({ seconds: 1 })
    expect(await operatorA.post(path, hello)).toMatchObject({
      status: 200,
      headers: { ratelimit: '"requests";r=1;t=60' },
    })
  })

  test('stores and asks nothing of what it refuses', async ({ operatorA, model }) => {
    model.says('One').says('Two')
    await operatorA.post(path, hello)
    await operatorA.post(path, hello)

    await operatorA.post(path, { ...hello, stream: true })

    expect(model.asked).toHaveLength(2)
    expect(await operatorA.get('/api/v1/conversations')).toMatchObject({ headers: { 'x-total-count': '2' } })
  })

  test('is told in the headers of a stream, and refuses a stream before it begins', async ({ operatorA, model }) => {
    model.says('One').says('Two')
    const stream = { ...hello, stream: true }
    const first = await operatorA.post(path, stream)
    await operatorA.post(path, stream)

    const refused = await operatorA.post(path, stream)

    expect(first).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/event-stream; charset=utf-8', ratelimit: '"requests";r=1;t=60' },
    })
    expect(refused).toMatchObject({
      status: 429,
      headers: { 'content-type': 'application/problem+json', 'retry-after': '60' },
      body: { code: 'rate_limited' },
    })
  })

  test('counts a chat that the model did not reply to', async ({ operatorA, model }) => {
    model.fails(new ProviderFailure('The provider answered with status 500.', 'failed')).says('Two')

    const failed = await operatorA.post(path, hello)

    expect(failed).toMatchObject({ status: 502, headers: { ratelimit: '"requests";r=1;t=60' } })
    expect(await operatorA.post(path, hello)).toMatchObject({ headers: { ratelimit: '"requests";r=0;t=60' } })
  })

  test('does not count what is refused before it: strangers, viewers, wrong bodies', async ({
    operatorA,
    viewerA,
    anonymous,
    model,
  }) => {
    model.says('One')

    const refused = [
      await anonymous.post(path, hello),
      await viewerA.post(path, hello),
      await operatorA.post(path, { message: '' }),
    ]

    expect(refused.map(({ status }) => status)).toEqual([401, 403, 422])
    expect(refused.filter(({ headers }) => 'ratelimit' in headers)).toEqual([])
    expect(await operatorA.post(path, hello)).toMatchObject({ headers: { ratelimit: '"requests";r=1;t=60' } })
  })

  test('is not about other routes', async ({ operatorA, model }) => {
    model.says('One').says('Two')
    await operatorA.post(path, hello)
    await operatorA.post(path, hello)

    const listed = await operatorA.get('/api/v1/conversations')

    expect(listed.status).toBe(200)
    expect(listed.headers).not.toHaveProperty('ratelimit')
    expect((await operatorA.post(path, hello)).status).toBe(429)
  })

  test("is the tenant's own", async ({ operatorA, adminB, model }) => {
    model.says('One').says('Two').says('Of B').says('Of B, limited')
    await operatorA.post(path, hello)
    await operatorA.post(path, hello)

    const unlimited = await adminB.post(path, hello)
    await adminB.patch(settings, { requests_per_minute: 7 })
    const limited = await adminB.post(path, hello)

    expect(unlimited.status).toBe(200)
    expect(unlimited.headers).not.toHaveProperty('ratelimit')
    expect(limited).toMatchObject({ status: 200, headers: { ratelimit: '"requests";r=6;t=60' } })
    expect((await operatorA.post(path, hello)).status).toBe(429)
  })

  test('can be raised, lowered and removed, from the next chat on', async ({ operatorA, adminA, model }) => {
    model.says('One').says('Two').says('Three').says('Four')
    await operatorA.post(path, hello)
    await operatorA.post(path, hello)

    await adminA.patch(settings, { requests_per_minute: 3 })
    const raised = await operatorA.post(path, hello)
    await adminA.patch(settings, { requests_per_minute: 1 })
    const lowered = await operatorA.post(path, hello)
    await adminA.patch(settings, { requests_per_minute: null })
    const removed = await operatorA.post(path, hello)

    expect(raised).toMatchObject({ status: 200, headers: { ratelimit: '"requests";r=0;t=60' } })
    expect(lowered).toMatchObject({ status: 429, headers: { 'ratelimit-policy': '"requests";q=1;w=60' } })
    expect(removed.status).toBe(200)
    expect(removed.headers).not.toHaveProperty('ratelimit-policy')
  })

  test('gives nothing twice when the clock goes back by less than a minute', async ({ operatorA, model, clock }) => {
    model.says('One').says('Two').says('Three')
    await operatorA.post(path, hello)
    await operatorA.post(path, hello)

    clock.advance({ seconds: -30 })
    const before = await operatorA.post(path, hello)
    clock.advance({ minutes: 1, seconds: 30 })

    expect(before).toMatchObject({ status: 429, headers: { 'retry-after': '30' } })
    expect((await operatorA.post(path, hello)).status).toBe(200)
  })

  test('does not lock the tenant out when the clock goes back by an hour', async ({ operatorA, model, clock }) => {
    model.says('One').says('Two').says('An hour before')
    clock.advance({ hours: 2 })
    await operatorA.post(path, hello)
    await operatorA.post(path, hello)

    clock.advance({ hours: -1 })

    expect(await operatorA.post(path, hello)).toMatchObject({
      status: 200,
      headers: { ratelimit: '"requests";r=1;t=60' },
    })
  })

  test('repeats the answer of an Idempotency-Key without counting it', async ({ operatorA, model }) => {
    model.says('One').says('Two')
    const keyed = { headers: { 'idempotency-key': 'key-1' } }
    const first = await operatorA.post(path, hello, keyed)

    const again = await operatorA.post(path, hello, keyed)
    const second = await operatorA.post(path, hello)
    const beyond = await operatorA.post(path, hello, keyed)

    expect(again).toMatchObject({ status: 200, headers: { 'idempotency-replayed': 'true' }, body: first.body })
    expect(second).toMatchObject({ status: 200, headers: { ratelimit: '"requests";r=0;t=60' } })
    expect(beyond).toMatchObject({ status: 200, headers: { 'idempotency-replayed': 'true' }, body: first.body })
    expect((await operatorA.post(path, hello)).status).toBe(429)
  })
})

describe('requests_per_minute of 1', { seed: limitOf(1) }, (test) => {
  test('admits one of fifty at once', async ({ operatorA, model }) => {
    model.says('One')

    const answers = await Promise.all(Array.from({ length: 50 }, () => operatorA.post(path, hello)))

    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 49 }, () => 429)])
    expect(model.asked).toHaveLength(1)
  })
})

describe('A tenant without limits', () => {
  test('is told of none, and nothing is counted for it', async ({ operatorA, model, ledger }) => {
    model.says('One').says('Two')
    await operatorA.post(path, hello)

    const { status, headers } = await operatorA.post(path, hello)

    expect(status).toBe(200)
    expect(headers).not.toHaveProperty('ratelimit')
    expect(headers).not.toHaveProperty('ratelimit-policy')
    const statements =
      ledger.requests.at(-1)?.statements.filter(({ text }) => /quota_|request_windows/.test(text)) ?? []
    expect(statements.map(({ text }) => text.slice(0, 6))).toEqual(['select'])
  })
})
