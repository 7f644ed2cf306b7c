import type { Observation } from '../../src/analytics/hook'
import { describe, expect, type Fixtures, recorderHere, test } from '../kit'

const path = '/api/v1/analytics'
const today = '2026-03-02'

const nothing = {
  total_requests: 0,
  error_count: 0,
  error_rate: 0,
  total_tokens: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  total_messages: 0,
  unique_users: 0,
  avg_response_time_ms: 0,
  p50_ms: 0,
  p95_ms: 0,
  p99_ms: 0,
}

/** A request as the hook would have seen it, of a viewer who listed conversations. */
const seen = ({ users }: Pick<Fixtures, 'users'>, change: Partial<Observation> = {}): Observation => ({
  request_id: 'request-1',
  caller: { tenant_id: users.viewerA.tenant_id, user_id: users.viewerA.id },
  method: 'GET',
  route: '/api/v1/conversations',
  status: 200,
  duration_us: 1000,
  at: new Date(`${today}T08:00:00.000Z`),
  ...change,
})

describe('GET /api/v1/analytics/summary', () => {
  test('counts every call, refused ones too, and nothing else', async ({
    adminA,
    operatorA,
    viewerA,
    model,
    settle,
  }) => {
    model.says('Four.', { prompt_tokens: 11, completion_tokens: 3 })
    await operatorA.post('/api/v1/chat', { message: 'Two and two?' })
    await viewerA.get('/api/v1/conversations')
    await viewerA.post('/api/v1/conversations', { title: 'Not mine to make' })
    await adminA.get('/api/v1/conversations/nothing')
    await settle()

    const response = await viewerA.get(`${path}/summary`)

    expect(response.status).toBe(200)
    expect(response.body).toEqual({
      ...nothing,
      start_date: '2026-02-01',
      end_date: today,
      total_requests: 4,
      error_count: 2,
      error_rate: 0.5,
      total_tokens: 14,
      prompt_tokens: 11,
      completion_tokens: 3,
      total_messages: 2,
      unique_users: 3,
    })
  })

  test('counts itself in the next one', async ({ viewerA, settle }) => {
    await viewerA.get(`${path}/summary`)
    await settle()

    const response = await viewerA.get(`${path}/summary`)

    expect(response).toMatchObject({ status: 200, body: { total_requests: 1, unique_users: 1 } })
  })

  test('is empty for a tenant that did nothing, whatever another did', async ({ viewerA, adminB, settle }) => {
    await viewerA.get('/api/v1/conversations')
    await settle()

    const response = await adminB.get(`${path}/summary`)

    expect(response.body).toEqual({ start_date: '2026-02-01', end_date: today, ...nothing })
    expect(await viewerA.get(`${path}/summary`)).toMatchObject({ body: { total_requests: 1 } })
  })

  test('measures a request from its begin to its answer', async ({ operatorA, viewerA, model, clock, settle }) => {
    model.does({ type: 'hang' }, { type: 'text', text: 'At last.' }, { type: 'end' })
    const answered = operatorA.post('/api/v1/chat', { message: 'Think.' })
    await model.hanging
    clock.advance({ ms: 250 })
    model.release()
    await answered
    await settle()

    const { body } = await viewerA.get(`${path}/summary`)

    expect(body).toMatchObject({ total_requests: 1, avg_response_time_ms: 250 })
    for (const quantile of [body.p50_ms, body.p95_ms, body.p99_ms])
      expect(Math.abs(quantile / 250 - 1)).toBeLessThan(0.02)
  })

  test('measures a stream to its end', async ({ operatorA, viewerA, model, clock, settle }) => {
    model.does({ type: 'text', text: 'At ' }, { type: 'hang' }, { type: 'text', text: 'last.' }, { type: 'end' })
    const response = await operatorA.send('POST', '/api/v1/chat', { body: { message: 'Think.', stream: true } })
    await model.hanging
    clock.advance({ ms: 400 })
    model.release()
    await response.text()
    await settle()

    const { body } = await viewerA.get(`${path}/summary`)

    expect(body).toMatchObject({ total_requests: 1, avg_response_time_ms: 400 })
  })

  test('has quantiles within two percent of the exact ones', async ({ viewerA, users, settle }) => {
    for (let n = 1; n <= 1000; n++) recorderHere().record(seen({ users }, { duration_us: n * 1000 }))
    await settle()

    const { body } = await viewerA.get(`${path}/summary`)

    expect(body.avg_response_time_ms).toBe(500.5)
    expect(Math.abs(body.p50_ms / 500 - 1)).toBeLessThan(0.02)
    expect(Math.abs(body.p95_ms / 950 - 1)).toBeLessThan(0.02)
    expect(Math.abs(body.p99_ms / 990 - 1)).toBeLessThan(0.02)
  })

  test('counts a user who came on many days once', async ({ viewerA, users, settle }) => {
    for (const day of ['2026-02-27', '2026-02-28', '2026-03-01'])
      recorderHere().record(seen({ users }, { at: new Date(`${day}T12:00:00.000Z`) }))
    await settle()

    const { body } = await viewerA.get(`${path}/summary`)

    expect(body).toMatchObject({ total_requests: 3, unique_users: 1 })
  })

  test('keeps the messages and tokens of a conversation that is gone', async ({ adminA, operatorA, model, settle }) => {
    model.says('Yes.', { prompt_tokens: 5, completion_tokens: 2 })
    const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'Still there?' })
    await adminA.delete(`/api/v1/conversations/${reply.conversation_id}`)
    await settle()

    const { body } = await operatorA.get(`${path}/summary`)

    expect(body).toMatchObject({ total_messages: 2, total_tokens: 7 })
  })

  test('takes no more statements for a year than for a day', async ({ viewerA, ledger }) => {
    await viewerA.get(`${path}/summary?start_date=${today}&end_date=${today}`)
    await viewerA.get(`${path}/summary?start_date=2025-03-03&end_date=${today}`)

    const [day, year] = ledger.requests

    expect(day?.statements.length).toBe(6)
    expect(year?.statements.length).toBe(6)
  })
})

describe('a range of days', () => {
  const ranges: [string, string, string][] = [
    ['', '2026-02-01', '2026-03-02'],
    ['?start_date=2026-02-20', '2026-02-20', '2026-03-02'],
    ['?end_date=2026-02-20', '2026-01-22', '2026-02-20'],
    ['?start_date=2024-02-29&end_date=2024-02-29', '2024-02-29', '2024-02-29'],
    ['?start_date=2025-03-02&end_date=2026-03-02', '2025-03-02', '2026-03-02'],
    ['?start_date=2027-01-01', '2027-01-01', '2027-01-01'],
    ['?end_date=1970-01-30', '1970-01-01', '1970-01-30'],
    ['?end_date=1970-01-05', '1970-01-01', '1970-01-05'],
    ['?end_date=1970-01-01', '1970-01-01', '1970-01-01'],
  ]
  test.each(ranges)('%s is from %s to %s', async (query, start_date, end_date, { viewerA }) => {
    const response = await viewerA.get(`${path}/summary${query}`)

    expect(response).toMatchObject({ status: 200, body: { start_date, end_date } })
  })

  const wrong: [string, string][] = [
    ['start_date=2026-02-30', '/start_date'],
    ['end_date=2026-13-01', '/end_date'],
    ['start_date=2026-3-1', '/start_date'],
    ['start_date=20260301', '/start_date'],
    ['start_date=', '/start_date'],
    ['start_date=2025-02-29', '/start_date'],
    ['start_date=2026-03-01T00:00:00Z', '/start_date'],
    ["end_date=2026-03-01'--", '/end_date'],
    ['start_date=2026-03-03&end_date=2026-03-02', '/start_date'],
    ['start_date=2025-03-01&end_date=2026-03-02', '/start_date'],
  ]
  test.each(wrong)('%s is refused', async (query, at, { operatorA }) => {
    for (const route of ['summary', 'daily', 'routes', 'models', 'export']) {
      const response = await operatorA.get(`${path}/${route}?${query}`)

      expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'query', path: at }] } })
    }
  })

  test('has both its days in it and no other', async ({ viewerA, users, settle }) => {
    const moments = [
      '2026-02-09T23:59:59.999Z',
      '2026-02-10T00:00:00.000Z',
      '2026-02-11T23:59:59.999Z',
      '2026-02-12T00:00:00.000Z',
    ]
    for (const at of moments) recorderHere().record(seen({ users }, { at: new Date(at) }))
    await settle()

    const { body } = await viewerA.get(`${path}/summary?start_date=2026-02-10&end_date=2026-02-11`)

    expect(body.total_requests).toBe(2)
  })
})

describe('GET /api/v1/analytics/daily', () => {
  test('has every day, those without use too', async ({ viewerA, operatorA, users, model, settle }) => {
    model.says('One.', { prompt_tokens: 2, completion_tokens: 1 })
    await operatorA.post('/api/v1/chat', { message: 'First.' })
    const later = new Date('2026-03-04T10:00:00.000Z')
    recorderHere().record(seen({ users }, { at: later, status: 500, duration_us: 8000 }))
    await settle()

    const { body } = await viewerA.get(`${path}/daily?start_date=2026-03-01&end_date=2026-03-04`)

    expect(body).toEqual([
      { date: '2026-03-01', ...nothing },
      {
        ...nothing,
        date: '2026-03-02',
        total_requests: 1,
        total_tokens: 3,
        prompt_tokens: 2,
        completion_tokens: 1,
        total_messages: 2,
        unique_users: 1,
      },
      { date: '2026-03-03', ...nothing },
      {
        ...nothing,
        date: '2026-03-04',
        total_requests: 1,
        error_count: 1,
        error_rate: 1,
        unique_users: 1,
        avg_response_time_ms: 8,
        p50_ms: 8.111,
        p95_ms: 8.111,
        p99_ms: 8.111,
      },
    ])
  })

  test('gives a request that runs over midnight to the day on which it began', async ({
    operatorA,
    viewerA,
    model,
    clock,
    settle,
  }) => {
    clock.advance({ hours: 14, minutes: 59, seconds: 59 })
    model.does({ type: 'hang' }, { type: 'text', text: 'Good morning.' }, { type: 'end' })
    const answered = operatorA.post('/api/v1/chat', { message: 'Good night.' })
    await model.hanging
    clock.advance({ seconds: 2 })
    model.release()
    await answered
    await settle()

    const { body } = await viewerA.get(`${path}/daily?start_date=${today}&end_date=2026-03-03`)

    expect(body).toMatchObject([
      { date: today, total_requests: 1, total_messages: 1, total_tokens: 0 },
      { date: '2026-03-03', total_requests: 0, total_messages: 1, total_tokens: expect.any(Number) },
    ])
  })
})

describe('GET /api/v1/analytics/routes', () => {
  test('has routes as they are declared, never what was asked for', async ({ adminA, settle }) => {
    const { body: created } = await adminA.post('/api/v1/conversations', {})
    await adminA.get(`/api/v1/conversations/${created.id}`)
    await adminA.get('/api/v1/conversations/01890000-0000-7000-8000-000000000000')
    await adminA.get('/api/v1/conversations/secret-of-mine')
    await adminA.patch('/api/v1/conversations/secret-of-mine', { title: 3 })
    await adminA.post('/api/v1/conversations', '{')
    await settle()

    const { body } = await adminA.get(`${path}/routes`)

    const times = { avg_response_time_ms: 0, p50_ms: 0, p95_ms: 0, p99_ms: 0 }
    expect(body).toEqual([
      {
        method: 'GET',
        route: '/api/v1/conversations/:id',
        total_requests: 3,
        error_count: 2,
        error_rate: 2 / 3,
        ...times,
      },
      { method: 'POST', route: '/api/v1/conversations', total_requests: 2, error_count: 1, error_rate: 0.5, ...times },
      {
        method: 'PATCH',
        route: '/api/v1/conversations/:id',
        total_requests: 1,
        error_count: 1,
        error_rate: 1,
        ...times,
      },
    ])
  })
})

describe('GET /api/v1/analytics/models', () => {
  test('has the tokens of each, and how many of them were estimated', async ({ operatorA, viewerA, model }) => {
    model
      .says('Four.', { prompt_tokens: 11, completion_tokens: 3 })
      .says('Five.')
      .says('Six.', { prompt_tokens: 7, completion_tokens: 2 })
    await operatorA.post('/api/v1/chat', { message: 'Two and two?', model: 'large' })
    await operatorA.post('/api/v1/chat', { message: 'Four and one?', model: 'small' })
    await operatorA.post('/api/v1/chat', { message: 'Five and one?', model: 'small' })

    const { body } = await viewerA.get(`${path}/models`)

    expect(body).toEqual([
      {
        model: 'small',
        total_replies: 2,
        total_tokens: 15,
        prompt_tokens: 11,
        completion_tokens: 4,
        estimated_tokens: 6,
        unique_users: 1,
      },
      {
        model: 'large',
        total_replies: 1,
        total_tokens: 14,
        prompt_tokens: 11,
        completion_tokens: 3,
        estimated_tokens: 0,
        unique_users: 1,
      },
    ])
  })

  test('has the cost where there is a price, exact to the millionth', async ({ adminA, operatorA, viewerA, model }) => {
    const prices = {
      large: { prompt_micros_per_million_tokens: 2_500_000, completion_micros_per_million_tokens: 10_000_001 },
    }
    await adminA.patch('/api/v1/admin/tenant/settings', { prices })
    model
      .says('Four.', { prompt_tokens: 11, completion_tokens: 3 })
      .says('Five.', { prompt_tokens: 9, completion_tokens: 1 })
    await operatorA.post('/api/v1/chat', { message: 'Two and two?', model: 'large' })
    await operatorA.post('/api/v1/chat', { message: 'Four and one?', model: 'constructor' })

    const { body } = await viewerA.get(`${path}/models`)

    // 11 * 2.5 + 3 * 10.000001 = 57.500003
    expect(body).toMatchObject([{ model: 'large', cost_micros: 58 }, { model: 'constructor' }])
    expect(body[1]).not.toHaveProperty('cost_micros')
    expect(await viewerA.get(`${path}/summary`)).toMatchObject({ body: { cost_micros: 58 } })
  })
})

describe('GET /api/v1/analytics/users', () => {
  test('has requests, tokens and cost of each user, for admins only', async ({
    adminA,
    operatorA,
    viewerA,
    users,
    model,
    settle,
  }) => {
    const prices = {
      scripted: { prompt_micros_per_million_tokens: 1_000_000, completion_micros_per_million_tokens: 2_000_000 },
    }
    await adminA.patch('/api/v1/admin/tenant/settings', { prices })
    model.says('Four.', { prompt_tokens: 11, completion_tokens: 3 })
    await operatorA.post('/api/v1/chat', { message: 'Two and two?' })
    await operatorA.get('/api/v1/conversations')
    const refused = await viewerA.get(`${path}/users`)
    await settle()

    const response = await adminA.get(`${path}/users?limit=2`)

    const none = {
      total_replies: 0,
      total_tokens: 0,
      prompt_tokens: 0,
      completion_tokens: 0,
      estimated_tokens: 0,
      cost_micros: 0,
    }
    const { id: user_id, external_id, email, display_name } = users.operatorA
    expect(refused.status).toBe(403)
    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': '3' } })
    expect(response.body).toEqual([
      {
        user_id,
        external_id,
        email,
        display_name,
        total_requests: 2,
        error_count: 0,
        error_rate: 0,
        avg_response_time_ms: 0,
        total_replies: 1,
        total_tokens: 14,
        prompt_tokens: 11,
        completion_tokens: 3,
        estimated_tokens: 0,
        cost_micros: 17,
      },
      {
        ...none,
        user_id: users.adminA.id,
        external_id: 'ada',
        email: 'ada@acme.example',
        display_name: null,
        total_requests: 1,
        error_count: 0,
        error_rate: 0,
        avg_response_time_ms: 0,
      },
    ])
  })

  test.each([['limit=2'], ['limit=2&offset=0']] as const)(
    'has a next link until everybody was there: %s',
    async (query, { adminA, users, settle }) => {
      const { adminA: ada, operatorA: olivia, viewerA: vera } = users
      for (const { tenant_id, id: user_id } of [ada, ada, ada, olivia, olivia, vera])
        recorderHere().record(seen({ users }, { caller: { tenant_id, user_id } }))
      await settle()
      const namesOf = (body: { external_id: string }[]) => body.map(({ external_id }) => external_id)

      const first = await adminA.get(`${path}/users?${query}`)

      const next = `${path}/users?limit=2&offset=2`
      expect(first.headers).toMatchObject({ 'x-total-count': '3', link: `<${next}>; rel="next"` })
      const second = await adminA.get(next)
      expect(second.headers).not.toHaveProperty('link')
      expect([namesOf(first.body), namesOf(second.body)]).toEqual([['ada', 'olivia'], ['vera']])
    },
  )
})

describe('who may see it', () => {
  test('is nobody without a token', async ({ anonymous, viewerA }) => {
    for (const route of ['summary', 'daily', 'routes', 'models']) {
      expect(await anonymous.get(`${path}/${route}`)).toMatchObject({ status: 401 })
      expect(await viewerA.get(`${path}/${route}`)).toMatchObject({ status: 200 })
    }
  })

  test('is an operator for exports', async ({ viewerA, operatorA }) => {
    expect(await viewerA.get(`${path}/export`)).toMatchObject({ status: 403 })
    expect(await operatorA.get(`${path}/export`)).toMatchObject({ status: 200 })
  })
})
