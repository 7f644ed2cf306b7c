import { read } from '../../src/testing'
import { describe, expect, test } from '../kit'

const ours = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/

describe('X-Request-Id', () => {
  test.each([['a'], ['01HZY.trace:span_1-2'], ['x'.repeat(128)]] as const)(
    'is the one that came, when it is plain: %s',
    async (id, { viewerA }) => {
      const response = await viewerA.get('/api/v1/nothing', { headers: { 'x-request-id': id } })

      expect(response).toMatchObject({ status: 404, headers: { 'x-request-id': id }, body: { request_id: id } })
    },
  )

  test.each([
    ['empty', ''],
    ['too long', 'x'.repeat(129)],
    ['more than one word', 'a b'],
    ['markup', '<script>alert(1)</script>'],
    ['a quoted string', '"quoted"'],
    ['an attempt to add fields', 'id=1;admin=true'],
    ['letters beyond ASCII', 'ünïcode'],
    ['two headers in one', 'a, b'],
    ['a path', '../../etc/passwd'],
  ] as const)('is a new one when it is %s', async (_what, id, { viewerA }) => {
    const response = await viewerA.get('/api/v1/nothing', { headers: { 'x-request-id': id } })

    expect(response).toMatchObject({
      status: 404,
      headers: { 'x-request-id': expect.stringMatching(ours) },
      body: { request_id: response.headers['x-request-id'] },
    })
  })

  test('differs from request to request', async ({ anonymous }) => {
    const ids = [await anonymous.get('/health'), await anonymous.get('/health')].map(
      ({ headers }) => headers['x-request-id'],
    )

    expect(ids).toEqual([expect.stringMatching(ours), expect.stringMatching(ours)])
    expect(new Set(ids).size).toBe(2)
  })
})

describe('every answer', () => {
  test.each([
    [200, 'GET', '/api/v1/me', {}],
    [200, 'GET', '/openapi', {}],
    [200, 'GET', '/openapi/swagger-ui.css', {}],
    [201, 'POST', '/api/v1/conversations', { body: {} }],
    [200, 'POST', '/api/v1/chat', { body: { message: 'Hi', stream: true } }],
    [400, 'POST', '/api/v1/conversations', { body: '{' }],
    [404, 'GET', '/nothing', {}],
    [405, 'PUT', '/health', {}],
    [413, 'POST', '/api/v1/chat', { body: '{}', headers: { 'content-length': '1048577' } }],
    [415, 'POST', '/api/v1/chat', { body: 'Hi', headers: { 'content-type': 'text/plain' } }],
    [422, 'POST', '/api/v1/chat', { body: {} }],
  ] as const)('says how long it took and who it is for: %i %s %s', async (status, method, path, options, fixtures) => {
    const { operatorA, model } = fixtures
    model.says('Hello')

    const response = await read(await operatorA.send(method, path, options))

    expect(response).toMatchObject({
      status,
      headers: {
        'server-timing': expect.stringMatching(/^app;dur=\d+\.\d\d$/),
        'x-request-id': expect.stringMatching(ours),
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'content-security-policy': expect.stringMatching(/^default-src 'none'; .*frame-ancestors 'none'$/),
        'cache-control': expect.any(String),
      },
    })
    expect(response.headers['strict-transport-security']).toBeUndefined()
  })

  test.each([
    [401, 'anonymous', 'GET', '/api/v1/me'],
    [403, 'viewerA', 'GET', '/api/v1/admin/users'],
  ] as const)('says so to the uninvited too: %i for %s', async (status, who, method, path, fixtures) => {
    const response = await read(await fixtures[who].send(method, path))

    expect(response).toMatchObject({
      status,
      headers: { 'server-timing': expect.stringMatching(/^app;dur=/), 'x-request-id': expect.stringMatching(ours) },
    })
    expect(await fixtures.adminA.get(path)).toMatchObject({ status: 200 })
  })

  test('names neither the program nor its version', async ({ adminA }) => {
    const answers = [
      await adminA.get('/nothing'),
      await adminA.put('/health'),
      await adminA.post('/api/v1/chat', '{'),
      await adminA.post('/api/v1/chat', {}),
      await adminA.get('/api/v1/conversations/unknown'),
    ]

    expect(answers.map(({ status }) => status)).toEqual([404, 405, 400, 422, 404])
    expect(JSON.stringify(answers)).not.toMatch(
      /elysia|\bbun\b|drizzle|sqlite|postgres|typebox|0\.0\.0-test|node_modules|x-powered-by/i,
    )
  })
})
