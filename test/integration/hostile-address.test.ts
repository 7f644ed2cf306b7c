import { buildApp } from '../../src/app'
import { app, deps, describe, expect, test, tokenOf } from '../kit'

describe('an id in a path', () => {
  test.each([
    ["1' OR '1'='1"],
    ['1;DROP TABLE conversations'],
    ['%27%20OR%201=1--'],
    ['%2f'],
    ['..%2f'],
    ['%2e%2e%2fadmin%2fusers'],
    ['%252f'],
    ['x%2fmessages'],
    [';'],
    ['*'],
    [':id'],
    ['%00'],
    ['%'],
    ['%zz'],
    ['%E0%A4%A'],
    ['%ff%fe'],
    ['%ed%a0%80'],
    ['%0d%0aSet-Cookie:%20a=b'],
    ['null'],
    ['undefined'],
    ['__proto__'],
    ['constructor'],
    ['0'],
    ['-1'],
    ['NaN'],
    ['{019cadc6-9a80-7000-8000-000000000000}'],
    ['019cadc69a8070008000000000000000'],
    ['ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ['a'.repeat(10_000)],
  ] as const)('is not found when it is none: %s', async (id, { adminA }) => {
    const answers = [
      await adminA.get(`/api/v1/conversations/${id}`),
      await adminA.get(`/api/v1/conversations/${id}/messages`),
      await adminA.patch(`/api/v1/conversations/${id}`, { title: 'x' }),
      await adminA.delete(`/api/v1/conversations/${id}`),
      await adminA.get(`/api/v1/admin/users/${id}`),
      await adminA.patch(`/api/v1/admin/users/${id}`, {}),
      await adminA.delete(`/api/v1/admin/users/${id}`),
    ]

    const conversation = [404, 'not_found', 'There is no such conversation.']
    const user = [404, 'not_found', 'There is no such user.']
    expect(answers.map(({ status, body }) => [status, body.code, body.detail])).toEqual([
      ...Array.from({ length: 4 }, () => conversation),
      ...Array.from({ length: 3 }, () => user),
    ])
    expect(await adminA.get('/api/v1/conversations')).toMatchObject({ status: 200, body: [] })
  })

  test('may be written in capitals', async ({ adminA }) => {
    const { body: created } = await adminA.post('/api/v1/conversations', {})

    const response = await adminA.get(`/api/v1/conversations/${created.id.toUpperCase()}`)

    expect(response).toMatchObject({ status: 200, body: created })
  })

  test.each([
    ['%20', 404, 'There is no such conversation.'],
    ['%00', 404, 'There is no such conversation.'],
    [';v=1', 404, 'There is no such conversation.'],
    ['.json', 404, 'There is no such conversation.'],
    ['//messages', 404, 'There is nothing at this address.'],
    ['/messages/x', 404, 'There is nothing at this address.'],
  ] as const)('finds nothing with %s behind it', async (suffix, status, detail, { adminA }) => {
    const { body: created } = await adminA.post('/api/v1/conversations', {})
    const path = `/api/v1/conversations/${created.id}`

    const response = await adminA.get(`${path}${suffix}`)

    expect(response).toMatchObject({ status, body: { detail } })
    expect(await adminA.get(path)).toMatchObject({ status: 200 })
  })
})

describe('a path', () => {
  test.each([
    ['//api/v1/me'],
    ['/api//v1/me'],
    ['/api/v1//me'],
    ['/api/v1/me;x'],
    ['/api/v1/me%2f'],
    ['/api/v1/%6de'],
    ['/API/V1/ME'],
    ['/api/v1/me/.%00'],
    ['/api/v1/conversations//'],
    ['/xx/api/v1/me'],
    ['/xxxxxx/api/v1/me'],
  ] as const)('leads nowhere when it is not exactly that of a route: %s', async (path, { adminA }) => {
    const response = await adminA.get(path)

    expect(response).toMatchObject({ status: 404, body: { detail: 'There is nothing at this address.' } })
    expect(await adminA.get('/api/v1/me')).toMatchObject({ status: 200 })
  })

  test('is not changed by headers that mean a proxy or another method', async ({ adminA }) => {
    const { body: created } = await adminA.post('/api/v1/conversations', {})
    await adminA.post('/api/v1/conversations', {})
    const headers = {
      'x-http-method-override': 'DELETE',
      'x-original-url': '/api/v1/admin/users',
      'x-rewrite-url': '/api/v1/admin/users',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-prefix': '/evil',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil.example',
    }

    const response = await adminA.get('/api/v1/conversations?limit=1', { headers })

    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': '2' } })
    expect(response.headers.link).toStartWith('</api/v1/conversations?limit=1&cursor=')
    expect(await adminA.get(`/api/v1/conversations/${created.id}`)).toMatchObject({ status: 200 })
  })
})

describe('a Host', () => {
  test.each([['a'], ['ab'], ['abc'], ['a:80'], ['[::1]'], ['xn--4ca.example:8443']] as const)(
    'of any length leaves the path alone: %s',
    async (host, { users }) => {
      const headers = { authorization: `Bearer ${await tokenOf(users.adminA)}` }

      const answers = await Promise.all(
        ['/api/v1/me', '/xx/api/v1/me', '/xxxxxx/api/v1/me', '/xxxxxxxxxx/api/v1/me'].map((path) =>
          app.handle(new Request(`http://${host}${path}`, { headers })),
        ),
      )

      expect(answers.map(({ status }) => status)).toEqual([200, 404, 404, 404])
    },
  )
})

/** What a real server answers to these very bytes. */
async function answerTo(bytes: string): Promise<{ status: number; failures: unknown[] }> {
  const failures: unknown[] = []
  const reporter = { ...deps.reporter, unexpected: (error: unknown) => void failures.push(error) }
  const server = buildApp({ ...deps, reporter }).listen({ port: 0, hostname: '127.0.0.1' })
  try {
    const over = Promise.withResolvers<void>()
    const received: Buffer[] = []
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: Number(server.server?.port),
      socket: {
        data: (_, data) => void received.push(data),
        close: () => over.resolve(),
        error: (_, error) => over.reject(error),
      },
    })
    socket.write(bytes)
    await over.promise
    return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(Buffer.concat(received).toString())?.[1]), failures }
  } finally {
    await server.stop(true)
  }
}

const get = (target: string, host: string) => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`

describe('a request on the wire', () => {
  const odd = [
    '',
    ' ',
    ':',
    'a b',
    '[',
    'a/xx/',
    '/',
    'a?x',
    'a#x',
    'user@a',
    'a\\b',
    '"',
    'ü',
    'localhost:99999',
    '%2f',
  ]

  test.each<[string]>(odd.map((host) => [host]))('is refused when its Host names no host: %j', async (host) => {
    const answers = await Promise.all(
      ['/health', '/xx/health', '/xxxxxx/health', '/xxxxxxxxxx/health'].map((path) => answerTo(get(path, host))),
    )

    expect(answers).toEqual(answers.map(() => ({ status: 400, failures: [] })))
    expect(await answerTo(get('/health', 'localhost'))).toEqual({ status: 200, failures: [] })
  })

  test.each<[string, string, number]>([
    ['a short Host', get('/health', 'a'), 200],
    ['a short Host and a longer path', get('/xxxxxx/health', 'a'), 404],
    ['a Host with a port', get('/health', 'example.com:8080'), 200],
    ['an address in brackets', get('/health', '[::1]:3000'), 200],
    ['a path of two slashes', get('//health', 'localhost'), 404],
    ['a path with a dot segment', get('/api/v1/me/../../../health', 'localhost'), 200],
    ['a path with dot segments in disguise', get('/api/%2e%2e/health', 'localhost'), 200],
    ['a path with a parameter', get('/health;x=1', 'localhost'), 404],
    ['a path with an encoded slash', get('/api%2fv1%2fme', 'localhost'), 404],
    ['a whole URL in place of a path', get('http://evil.example/health', 'localhost'), 200],
    ['no Host at all', 'GET /xxxxxx/health HTTP/1.0\r\n\r\n', 400],
    ['two lengths', 'POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
  ])('is answered with its one status: %s', async (_what, bytes, status) => {
    const answer = await answerTo(bytes)

    expect(answer).toEqual({ status, failures: [] })
  })
})
