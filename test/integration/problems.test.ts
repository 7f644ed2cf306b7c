import { read } from '../../src/testing'
import { app, describe, expect, test } from '../kit'

const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/
const canary = 'canary-5f1d'

/** What every problem of this code looks like, but for its own parts. */
const problem = (status: number, code: string, title: string, instance: string, detail: string) => ({
  type: `urn:problem-type:${code}`,
  title,
  status,
  detail,
  code,
  instance,
  request_id: expect.stringMatching(uuid),
})

const notPermitted = 'This needs the permission conversation:write, which the role viewer does not have.'
const wrongShape = 'The request does not have the shape this route takes; see errors.'
const conversations = '/api/v1/conversations'

type Row = [string, string, string, object, ReturnType<typeof problem>]
const asOperator: Row[] = [
  [
    'malformed JSON',
    'POST',
    conversations,
    { body: `{"title": "${canary}"` },
    problem(400, 'invalid_request', 'The request is not valid', conversations, 'The body is not JSON.'),
  ],
  [
    'an unknown path',
    'GET',
    '/api/v1/nothing',
    {},
    problem(404, 'not_found', 'Not found', '/api/v1/nothing', 'There is nothing at this address.'),
  ],
  [
    'an unknown id',
    'GET',
    `${conversations}/${canary}`,
    {},
    problem(404, 'not_found', 'Not found', `${conversations}/${canary}`, 'There is no such conversation.'),
  ],
  [
    'a wrong method',
    'PUT',
    conversations,
    {},
    problem(405, 'invalid_request', 'The request is not valid', conversations, 'This address takes GET, HEAD, POST.'),
  ],
  [
    'a body that says it is too large',
    'POST',
    conversations,
    { body: '{}', headers: { 'content-length': '1048577' } },
    problem(413, 'payload_too_large', 'Too large', conversations, 'A body may have at most 1048576 bytes.'),
  ],
  [
    'another media type',
    'POST',
    conversations,
    { body: `title=${canary}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    problem(
      415,
      'unsupported_media_type',
      'Media type not supported',
      conversations,
      'Send the body as application/json.',
    ),
  ],
]

describe('a problem document', () => {
  test.each<Row>(asOperator)('says all of %s', async (_what, method, path, options, expected, { operatorA }) => {
    const response = await read(await operatorA.send(method, path, options))

    expect(response).toMatchObject({
      status: expected.status,
      headers: { 'content-type': 'application/problem+json', 'x-request-id': response.body.request_id },
    })
    expect(response.body).toEqual(expected)
    expect(await operatorA.post(conversations, { title: 'x' })).toMatchObject({ status: 201 })
  })

  test('says all of a missing token', async ({ anonymous, viewerA }) => {
    const response = await anonymous.get('/api/v1/me')

    expect(response).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } })
    expect(response.body).toEqual(
      problem(
        401,
        'unauthenticated',
        'Authentication is needed',
        '/api/v1/me',
        'Send the header Authorization: Bearer <token>.',
      ),
    )
    expect(await viewerA.get('/api/v1/me')).toMatchObject({ status: 200 })
  })

  test('says all of a missing permission', async ({ viewerA, operatorA }) => {
    const response = await viewerA.post(conversations, { title: canary })

    expect(response.status).toBe(403)
    expect(response.body).toEqual(problem(403, 'forbidden', 'Not permitted', conversations, notPermitted))
    expect(await operatorA.post(conversations, { title: canary })).toMatchObject({ status: 201 })
  })

  test('names every refused field, and what is wrong with it, without its value', async ({ operatorA }) => {
    const body = { title: { canary }, system_prompt: 7, [canary]: canary, metadata: canary }

    const response = await operatorA.post(conversations, body)

    expect(response.status).toBe(422)
    expect(response.body).toEqual({
      ...problem(422, 'invalid_request', 'The request is not valid', conversations, wrongShape),
      errors: [
        { in: 'body', path: `/${canary}`, message: 'is not known here' },
        { in: 'body', path: '/title', message: 'must be string or null within its limits' },
        { in: 'body', path: '/system_prompt', message: 'must be string or null within its limits' },
        { in: 'body', path: '/metadata', message: 'must be object' },
      ],
    })
  })

  test.each([
    ['a missing field', 'POST', '/api/v1/chat', {}, [{ in: 'body', path: '/message', message: 'is required' }]],
    [
      'a word for a switch',
      'POST',
      '/api/v1/chat',
      { message: canary, stream: canary },
      [{ in: 'body', path: '/stream', message: 'must be boolean' }],
    ],
    [
      'a text too long',
      'POST',
      '/api/v1/chat',
      { message: canary.repeat(3000) },
      [{ in: 'body', path: '/message', message: 'must have a length less or equal to 32000' }],
    ],
    [
      'words that are none of the known',
      'POST',
      '/api/v1/admin/users',
      { email: canary, external_id: 'x', role: canary },
      [
        { in: 'body', path: '/email', message: 'must be an e-mail address' },
        { in: 'body', path: '/role', message: 'must be one of viewer, operator, admin' },
      ],
    ],
    [
      'a word for a number',
      'GET',
      `${conversations}?limit=${canary}`,
      undefined,
      [{ in: 'query', path: '/limit', message: 'must be a whole number from 1 to 100' }],
    ],
    [
      'another word in a query',
      'GET',
      `${conversations}?include_archived=${canary}`,
      undefined,
      [{ in: 'query', path: '/include_archived', message: 'must be one of true, false' }],
    ],
  ] as const)('never repeats %s', async (_what, method, path, body, errors, { adminA }) => {
    const response = await read(await adminA.send(method, path, { body }))

    expect(response).toMatchObject({ status: 422, body: { errors: [...errors] } })
    expect(JSON.stringify([response.body, response.headers])).not.toContain(canary)
  })

  test.each([
    ['a field that is not known', '{"a/b~c": 1}', '/a~1b~0c'],
    ['half of a surrogate pair', String.raw`{"metadata": {"a/b~c": ["\ud83d"]}}`, '/metadata/a~1b~0c/0'],
  ] as const)('points at %s as RFC 6901 says, whatever its name', async (_what, body, path, { operatorA }) => {
    const response = await operatorA.post(conversations, body)

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'body', path }] } })
  })

  test('names at most twenty fields', async ({ operatorA }) => {
    const body = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`unknown_${at}`, at]))

    const response = await operatorA.post(conversations, body)

    expect(response.status).toBe(422)
    expect(response.body.errors).toHaveLength(20)
  })

  test('refuses a body that grows too large on the way', async ({ operatorA }) => {
    const endless = () => {
      let sent = 0
      return new ReadableStream<Uint8Array>({
        pull(controller) {
          sent += 65_536
          controller.enqueue(new Uint8Array(65_536).fill(0x20))
          if (sent > 64 * 1024 * 1024) controller.close()
        },
      })
    }
    const small = new Blob(['{"title":"x"}']).stream()

    const response = await read(await operatorA.send('POST', conversations, { body: endless() }))

    const expected = ['Too large', conversations, 'A body may have at most 1048576 bytes.'] as const
    expect(response.status).toBe(413)
    expect(response.body).toEqual(problem(413, 'payload_too_large', ...expected))
    expect((await operatorA.send('POST', conversations, { body: small })).status).toBe(201)
  })
})

const paths = [...new Set(app.routes.map(({ path }) => path))]
const methodsOf = (path: string) => app.routes.flatMap((route) => (route.path === path ? [route.method] : []))

/** Whoever may GET may ask for the headers alone. */
const allowed = (methods: string[]) => (methods.includes('GET') ? [...methods, 'HEAD'] : methods)

describe('a method that a path does not take', () => {
  test.each<[string, string]>(
    paths.flatMap((path) =>
      ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
        .filter((method) => !methodsOf(path).includes(method))
        .map((method): [string, string] => [method, path]),
    ),
  )('is answered with those that it does: %s %s', async (method, path, { anonymous }) => {
    const address = path.replaceAll(/:\w+/g, '019cadc6-9a80-7000-8000-000000000000')

    const response = await read(await anonymous.send(method, address))

    expect(response).toMatchObject({
      status: 405,
      headers: { allow: allowed(methodsOf(path)).sort().join(', ') },
      body: { code: 'invalid_request', instance: address },
    })
  })
})
