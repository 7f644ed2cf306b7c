import { buildApp } from '../../src/app'
import { client } from '../../src/testing'
import { deps, describe, expect, test, tokenOf } from '../kit'

const listed = 'https://app.example'
const open = buildApp({ ...deps, corsOrigins: [listed, 'http://localhost:5173'] })
const closed = buildApp({ ...deps, corsOrigins: [] })
const from = (app: typeof open, origin: string) =>
  client(
    (request) => app.handle(request),
    () => ({ origin }),
  )

const preflight = {
  headers: { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
}
const granted = (headers: Headers) => headers.get('access-control-allow-origin')

describe('a page of a listed origin', () => {
  test.each<[string]>([[listed], ['http://localhost:5173']])('may ask from %s', async (origin) => {
    const response = await from(open, origin).get('/health')

    expect(response).toMatchObject({
      status: 200,
      headers: { 'access-control-allow-origin': origin, vary: 'Origin' },
    })
    expect(response.headers['access-control-expose-headers']).toBe(
      'x-request-id, x-total-count, link, server-timing, retry-after, idempotency-replayed, x-conversation-id, ratelimit, ratelimit-policy',
    )
  })

  test('may ask beforehand', async () => {
    const response = await from(open, listed).send('OPTIONS', '/api/v1/chat', preflight)

    expect(response.status).toBe(204)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': listed,
      'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
      'access-control-allow-headers': 'authorization, content-type, idempotency-key, x-request-id',
      'access-control-max-age': '600',
      vary: 'Origin',
    })
  })

  test.each([
    ['401', 'GET', '/api/v1/me', {}],
    ['404', 'GET', '/nothing', {}],
    ['405', 'DELETE', '/health', {}],
    ['400', 'POST', '/api/v1/conversations', { body: '{' }],
    ['413', 'POST', '/api/v1/conversations', { body: '{}', headers: { 'content-length': '1048577' } }],
    ['415', 'POST', '/api/v1/conversations', { body: '{}', headers: { 'content-type': 'text/plain' } }],
    ['422', 'POST', '/api/v1/conversations', { body: '{"id":1}' }],
  ] as const)('can read a %s', async (status, method, path, { ...options }, { users }) => {
    const headers = { ...('headers' in options && options.headers) }
    const identified =
      status === '401' ? headers : { ...headers, authorization: `Bearer ${await tokenOf(users.operatorA)}` }

    const response = await from(open, listed).send(method, path, { ...options, headers: identified })

    expect(String(response.status)).toBe(status)
    expect(granted(response.headers)).toBe(listed)
    expect(response.headers.get('vary')).toBe('Origin')
  })

  test('is never told to send cookies', async () => {
    const answers = [
      await from(open, listed).send('GET', '/health'),
      await from(open, listed).send('OPTIONS', '/api/v1/chat', preflight),
    ]

    expect(answers.map(({ headers }) => headers.get('access-control-allow-credentials'))).toEqual([null, null])
    expect(answers.map(({ headers }) => granted(headers))).toEqual([listed, listed])
  })
})

describe('a page of another origin', () => {
  test.each<[string]>([
    ['https://evil.example'],
    ['null'],
    ['https://app.example.evil.example'],
    ['https://evil-app.example'],
    ['https://sub.app.example'],
    ['http://app.example'],
    ['https://app.example:444'],
    ['https://app.example/'],
    ['HTTPS://APP.EXAMPLE'],
    ['app.example'],
    ['*'],
    [''],
  ])('is not let in from %j', async (origin) => {
    const answers = [
      await from(open, origin).send('GET', '/health'),
      await from(open, origin).send('GET', '/nothing'),
      await from(open, origin).send('OPTIONS', '/api/v1/chat', preflight),
    ]

    expect(answers.map(({ headers }) => granted(headers))).toEqual([null, null, null])
    expect(answers.map(({ headers }) => headers.get('access-control-allow-credentials'))).toEqual([null, null, null])
    expect(granted((await from(open, listed).send('GET', '/health')).headers)).toBe(listed)
  })

  test('is not let in when no origin is listed', async () => {
    const answers = [
      await from(closed, listed).send('GET', '/health'),
      await from(closed, listed).send('OPTIONS', '/health', preflight),
    ]

    expect(answers.map(({ status, headers }) => [status, granted(headers)])).toEqual([
      [200, null],
      [405, null],
    ])
    expect(granted((await from(open, listed).send('GET', '/health')).headers)).toBe(listed)
  })
})
