import { describe, expect, type Fixtures, recorderHere, test } from '../kit'

const path = '/api/v1/analytics/export'
const day = '2026-03-02'

/** Some requests of the viewer, one each second from nine o'clock. */
function visits({ users }: Pick<Fixtures, 'users'>, times: number, route = '/api/v1/conversations') {
  const { id: user_id, tenant_id } = users.viewerA
  for (let n = 0; n < times; n++) {
    const at = new Date(Date.parse(`${day}T09:00:00.000Z`) + n * 1000)
    recorderHere().record({
      request_id: 'request-1',
      caller: { tenant_id, user_id },
      method: 'GET',
      route,
      status: 200,
      duration_us: 1500,
      at,
    })
  }
}

describe('GET /api/v1/analytics/export', () => {
  test('is a CSV file of days, by its own account', async ({ operatorA, users, settle }) => {
    visits({ users }, 2)
    await settle()

    const { status, headers, body } = await operatorA.get(`${path}?start_date=2026-03-01&end_date=${day}`)

    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="days-2026-03-01-to-2026-03-02.csv"',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    expect(body).toBe(
      [
        'date,total_requests,error_count,error_rate,total_tokens,prompt_tokens,completion_tokens,total_messages,unique_users,avg_response_time_ms,p50_ms,p95_ms,p99_ms',
        '2026-03-01,0,0,0,0,0,0,0,0,0,0,0,0',
        '2026-03-02,2,0,0,0,0,0,0,1,1.5,1.502,1.502,1.502',
        '',
      ].join('\r\n'),
    )
  })

  test('of request records begins with the first day that there is', async ({ operatorA }) => {
    const { status, headers, body } = await operatorA.get(`${path}?rows=requests&end_date=1970-01-05`)

    expect(status).toBe(200)
    expect(headers['content-disposition']).toBe('attachment; filename="requests-1970-01-01-to-1970-01-05.csv"')
    expect(body).toBe('id,created_at,user_id,method,route,status,duration_ms\r\n')
  })

  test('is the same as JSON', async ({ operatorA, users, settle }) => {
    visits({ users }, 2)
    await settle()

    const { headers, body } = await operatorA.get(`${path}?format=json&start_date=2026-01-01&end_date=${day}`)

    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'content-disposition': 'attachment; filename="days-2026-01-01-to-2026-03-02.json"',
    })
    expect(body).toHaveLength(61)
    expect(body).toEqual((await operatorA.get(`/api/v1/analytics/daily?start_date=2026-01-01&end_date=${day}`)).body)
  })

  test('has days by route', async ({ operatorA, users, settle }) => {
    visits({ users }, 2)
    visits({ users }, 1, '/api/v1/me')
    await settle()

    const { body } = await operatorA.get(`${path}?rows=routes`)

    expect(body).toBe(
      [
        'date,method,route,total_requests,error_count,error_rate,avg_response_time_ms,p50_ms,p95_ms,p99_ms',
        '2026-03-02,GET,/api/v1/conversations,2,0,0,1.5,1.502,1.502,1.502',
        '2026-03-02,GET,/api/v1/me,1,0,0,1.5,1.502,1.502,1.502',
        '',
      ].join('\r\n'),
    )
  })

  test('has every request record of the range, in the order of time, over many pages', async ({
    operatorA,
    users,
    settle,
  }) => {
    visits({ users }, 2500)
    await settle()

    const { body } = await operatorA.get(`${path}?rows=requests&format=json`)

    expect(body).toHaveLength(2500)
    expect(body[0]).toEqual({
      id: expect.any(String),
      created_at: '2026-03-02T09:00:00.000Z',
      user_id: users.viewerA.id,
      method: 'GET',
      route: '/api/v1/conversations',
      status: 200,
      duration_ms: 1.5,
    })
    const times = body.map(({ created_at }: { created_at: string }) => created_at)
    expect(times).toEqual(times.toSorted())
    expect(new Set(times).size).toBe(2500)
  })

  test('has a head and no rows where there is nothing', async ({ operatorA }) => {
    const csv = await operatorA.get(`${path}?rows=requests`)
    const json = await operatorA.get(`${path}?rows=requests&format=json`)

    expect(csv.body).toBe('id,created_at,user_id,method,route,status,duration_ms\r\n')
    expect(json.body).toEqual([])
  })

  test("has nothing of another tenant's", async ({ operatorA, adminB, users, settle }) => {
    visits({ users }, 3)
    await settle()

    const foreign = await adminB.get(`${path}?rows=requests&format=json`)
    const own = await operatorA.get(`${path}?rows=requests&format=json`)

    expect(foreign.body).toEqual([])
    expect(own.body).toHaveLength(3)
  })

  test('asks for the next page only when the reader has taken one', async ({ operatorA, users, settle, ledger }) => {
    visits({ users }, 5000)
    await settle()

    const response = await operatorA.send('GET', `${path}?rows=requests`)
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.read()

    const pages = ledger.requests.at(-1)?.statements.filter(({ text }) => text.includes('request_records')) ?? []
    expect(pages.length).toBeGreaterThan(0)
    expect(pages.length).toBeLessThan(5)
    await reader?.cancel()
  })

  test('is a request like any other, once it is read', async ({ operatorA, settle }) => {
    await operatorA.get(path)
    await settle()

    const { body } = await operatorA.get('/api/v1/analytics/routes')

    expect(body).toMatchObject([{ method: 'GET', route: path, total_requests: 1, error_count: 0 }])
  })

  const smuggled = [
    'start_date=2026-03-01%0d%0aset-cookie:%20a=b',
    'end_date=2026-03-01%22;%20filename=evil.exe',
    'format=csv%0d%0ax:y',
    'format=exe',
    'rows=users',
  ]
  test.each(smuggled)('refuses %s, so that nothing foreign gets into a header', async (query, { operatorA }) => {
    const response = await operatorA.get(`${path}?${query}`)

    expect(response).toMatchObject({ status: 422 })
    expect(response.headers).not.toHaveProperty('content-disposition')
    expect(response.headers).not.toHaveProperty('set-cookie')
  })

  test('writes what a spreadsheet would run as text', async ({ operatorA, users, settle }) => {
    visits({ users }, 1, '=HYPERLINK("https://evil.example")')
    await settle()

    const { body } = await operatorA.get(`${path}?rows=routes`)

    expect(body).toContain(`GET,"'=HYPERLINK(""https://evil.example"")",1`)
  })
})
