import type { Client } from '../../src/testing'
import { app, describe, expect, test } from '../kit'

const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth)
const bytes = (...values: (number | string)[]) =>
  new Blob(values.map((value) => (typeof value === 'number' ? new Uint8Array([value]) : value)))

/** What is sent, and what it is answered with wherever a body is read. */
const bodies: [string, number, string | Blob | undefined][] = [
  ['no body', 422, undefined],
  ['an empty body', 422, ''],
  ['null', 422, 'null'],
  ['a list', 422, '[]'],
  ['a list with an object', 422, '[{"title":"x","message":"x"}]'],
  ['a number', 422, '1'],
  ['a text', 422, '"title"'],
  ['a boolean', 422, 'true'],
  ['objects 10 000 deep', 422, `${'{"x":'.repeat(10_000)}1${'}'.repeat(10_000)}`],
  ['lists 10 000 deep', 422, nested('[', ']', 10_000)],
  ['lists 500 000 deep', 422, nested('[', ']', 500_000)],
  ['lists without an end', 400, '['.repeat(500_000)],
  ['__proto__', 422, '{"__proto__":{"role":"admin"}}'],
  ['__proto__ inside', 422, '{"metadata":{"a":[{"__proto__":{"role":"admin"}}]}}'],
  ['__proto__ in disguise', 422, '{"metadata":{"\\u005f_proto__":{"role":"admin"}}}'],
  ['constructor', 422, '{"constructor":{"prototype":{"role":"admin"}}}'],
  ['NUL in a value', 422, '{"title":"a\\u0000b"}'],
  ['NUL in a key', 422, '{"metadata":{"a\\u0000b":1}}'],
  ['a raw NUL', 400, '{"title":"a\0b"}'],
  ['the first half of a surrogate pair', 422, '{"title":"\\ud83d"}'],
  ['the second half of a surrogate pair', 422, '{"metadata":{"a":["\\udc00"]}}'],
  ['half a surrogate pair in a key', 422, '{"metadata":{"\\udc00":1}}'],
  ['a number above all numbers', 422, '{"metadata":{"a":1e400}}'],
  ['a number below all numbers', 422, '{"metadata":{"a":[-1e400]}}'],
  ['bytes that are no UTF-8', 400, bytes('{"title":"', 0xff, 0xfe, '"}')],
  ['an overlong slash', 400, bytes('{"title":"', 0xc0, 0xaf, '"}')],
  ['a surrogate as bytes', 400, bytes('{"title":"', 0xed, 0xa0, 0x80, '"}')],
  ['UTF-16', 400, bytes(0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00)],
  ['half an object', 400, '{"title":"a"'],
  ['two objects', 400, '{}{}'],
  ['a comma too many', 400, '{"title":"a",}'],
  ['single quotes', 400, "{'title':'a'}"],
  ['NaN', 400, '{"title":NaN}'],
  ['a comment', 400, '{} // none'],
  ['only spaces', 400, '   '],
  ['a form', 400, 'title=a&message=b'],
]

type Ids = { conversation: string; user: string }
/** `optional`: it may come without a body. */
type Target = { path: (ids: Ids) => string; good: object; status: number; optional?: true }

/** Every route that reads a body, and one that it takes. */
const targets: Record<string, Target> = {
  'POST /api/v1/conversations': { path: () => '/api/v1/conversations', good: { title: 'Good' }, status: 201 },
  'PATCH /api/v1/conversations/:id': {
    path: ({ conversation }) => `/api/v1/conversations/${conversation}`,
    good: { title: 'Good' },
    status: 200,
  },
  'POST /api/v1/chat': { path: () => '/api/v1/chat', good: { message: 'Good' }, status: 200 },
  'POST /api/v1/admin/users': {
    path: () => '/api/v1/admin/users',
    good: { external_id: 'good', email: 'good@acme.example', role: 'viewer' },
    status: 201,
  },
  'PATCH /api/v1/admin/users/:id': {
    path: ({ user }) => `/api/v1/admin/users/${user}`,
    good: { display_name: 'Good' },
    status: 200,
  },
  'PATCH /api/v1/admin/tenant/settings': {
    path: () => '/api/v1/admin/tenant/settings',
    good: { name: 'Good' },
    status: 200,
  },
  'POST /api/v1/plugins/:name/enable': {
    path: () => '/api/v1/plugins/test_greeter/enable',
    good: { config: { greeting: 'Good' } },
    status: 200,
    optional: true,
  },
  'PUT /api/v1/plugins/:name/config': {
    path: () => '/api/v1/plugins/test_greeter/config',
    good: { greeting: 'Good' },
    status: 200,
  },
  'PATCH /api/v1/plugins/:name/config': {
    path: () => '/api/v1/plugins/test_greeter/config',
    good: { greeting: 'Good' },
    status: 200,
  },
}

async function seeded(client: Client, user: string) {
  const { body: created } = await client.post('/api/v1/conversations', { title: 'Before' })
  return { conversation: String(created.id), user }
}

describe('a hostile body', () => {
  test('is tried on every route that reads one', () => {
    const reading = app.routes
      .filter(({ hooks }) => hooks.body !== undefined)
      .map(({ method, path }) => `${method} ${path}`)

    expect(Object.keys(targets).sort()).toEqual(reading.sort())
  })

  describe.each(Object.entries(targets))('sent to %s', (route, { path, good, status, optional }) => {
    const refused = bodies.filter(([, , body]) => !(optional && (body === undefined || body === '')))
    test.each(refused)('is refused: %s (%i)', async (_what, refusal, body, { adminA, users, model }) => {
      model.says('Good')
      const [method = ''] = route.split(' ')
      const address = path(await seeded(adminA, users.viewerA.id))

      const refused = await adminA.send(method, address, { body })

      expect(refused.status).toBe(refusal)
      expect(await refused.json()).toMatchObject({ code: 'invalid_request', status: refusal })
      expect((await adminA.send(method, address, { body: good })).status).toBe(status)
      expect([Object.hasOwn(Object.prototype, 'role'), model.asked.length]).toEqual([
        false,
        route.endsWith('/chat') ? 1 : 0,
      ])
    })

    test('is taken with a byte order mark in front of it', async ({ adminA, users, model }) => {
      model.says('Good')
      const [method = ''] = route.split(' ')
      const address = path(await seeded(adminA, users.viewerA.id))

      const response = await adminA.send(method, address, { body: bytes(0xef, 0xbb, 0xbf, JSON.stringify(good)) })

      expect(response.status).toBe(status)
    })
  })

  test('may be 32 levels deep, and not 33', async ({ operatorA }) => {
    const levels = (depth: number) => `{"metadata":${'{"x":'.repeat(depth - 1)}1${'}'.repeat(depth)}`

    const answers = [
      await operatorA.post('/api/v1/conversations', levels(32)),
      await operatorA.post('/api/v1/conversations', levels(33)),
    ]

    expect(answers.map(({ status }) => status)).toEqual([201, 422])
    expect(answers[1]?.body.errors).toEqual([
      { in: 'body', path: '', message: 'must not be nested deeper than 32 levels' },
    ])
  })

  test('means the last of two equal keys', async ({ operatorA }) => {
    const response = await operatorA.post('/api/v1/conversations', '{"title":"first","title":"last"}')

    expect(response).toMatchObject({ status: 201, body: { title: 'last' } })
  })
})

describe('a field that is not for the caller to set', () => {
  const smuggled: [string, string[]][] = [
    [
      'POST /api/v1/conversations',
      ['id', 'tenant_id', 'user_id', 'message_count', 'is_archived', 'created_at', 'role'],
    ],
    ['PATCH /api/v1/conversations/:id', ['id', 'tenant_id', 'user_id', 'message_count', 'updated_at']],
    ['POST /api/v1/chat', ['tenant_id', 'user_id', 'role', 'messages', 'base_url', 'api_key', 'headers', 'usage']],
    ['POST /api/v1/admin/users', ['id', 'tenant_id', 'is_active', 'created_at', 'permissions']],
    ['PATCH /api/v1/admin/users/:id', ['id', 'tenant_id', 'external_id', 'email', 'permissions']],
    ['PATCH /api/v1/admin/tenant/settings', ['id', 'tenant_id', 'slug', 'is_active', 'created_at']],
    ['POST /api/v1/plugins/:name/enable', ['name', 'tenant_id', 'enabled', 'is_enabled', 'sealed_secrets']],
    ['PUT /api/v1/plugins/:name/config', ['tenant_id', 'enabled', 'is_enabled', 'sealed_secrets', 'key_id']],
    ['PATCH /api/v1/plugins/:name/config', ['tenant_id', 'enabled', 'is_enabled', 'sealed_secrets', 'key_id']],
  ]

  test.each(smuggled.flatMap(([route, fields]) => fields.map((field): [string, string] => [route, field])))(
    'is refused: %s with %s',
    async (route, field, { adminA, users, tenantB, model }) => {
      model.says('Good')
      const [method = ''] = route.split(' ')
      const { path, good, status } = targets[route] as Target
      const address = path(await seeded(adminA, users.viewerA.id))

      const refused = await adminA.send(method, address, { body: { ...good, [field]: tenantB.id } })

      expect(refused.status).toBe(422)
      expect(await refused.json()).toMatchObject({
        errors: [{ in: 'body', path: `/${field}`, message: 'is not known here' }],
      })
      expect((await adminA.send(method, address, { body: good })).status).toBe(status)
    },
  )
})

describe('text that is code elsewhere', () => {
  test.each([
    ["Robert'); DROP TABLE conversations;--"],
    ['" OR ""="'],
    ['$1 :name ? @p {{7*7}} #{7*7} %s %n'],
    ['<script>alert(1)</script><img src=x onerror=alert(1)>'],
    ['../../etc/passwd'],
    ['=cmd|"/C calc"!A0'],
    ['line\r\nSet-Cookie: a=b\r\n\r\n'],
    ['\u001b[2J\u001b]0;title\u0007'],
    ['\u202Egnp.exe\u200b\ufeff'],
    ['%00%0d%0a'],
  ] as const)('is kept as text: %j', async (text, { operatorA, model }) => {
    const given = { title: text, system_prompt: text, metadata: { [text]: text } }
    model.says(text)

    const { body: created } = await operatorA.post('/api/v1/conversations', given)
    await operatorA.post('/api/v1/chat', { message: text, conversation_id: created.id })

    const path = `/api/v1/conversations/${created.id}`
    expect(await operatorA.get(path)).toMatchObject({ status: 200, body: given })
    expect((await operatorA.get(`${path}/messages`)).body.map(({ content }: { content: string }) => content)).toEqual([
      text,
      text,
    ])
  })
})
