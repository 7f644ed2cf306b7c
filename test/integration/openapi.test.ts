import { policyOf } from '../../src/auth/access'
import { app, describe, expect, test } from '../kit'
import { strangerTo } from '../speaking'

type Body = { content: Record<string, unknown>; headers?: Record<string, unknown> }
type Operation = {
  security?: unknown
  requestBody?: Body
  responses: Record<string, Body>
  parameters?: { name: string; in: string; required?: boolean; schema: Record<string, unknown> }[]
  'x-permission'?: string
}
type Document = { paths: Record<string, Record<string, Operation>>; components: Record<string, unknown> }

const documented = app.routes.filter(({ path, method }) => !/^\/(openapi|dashboard)/.test(path) && method !== 'OPTIONS')
const written = (path: string) => path.replaceAll(/:(\w+)/g, '{$1}')

describe('GET /openapi/json', () => {
  test('lists every route of the service and no other', async ({ anonymous }) => {
    const { status, body } = await anonymous.get('/openapi/json')

    const { paths }: Document = body
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(status).toBe(200)
    expect(operations.sort()).toEqual(documented.map(({ method, path }) => `${method} ${written(path)}`).sort())
  })

  test.each(documented.map((route) => [route.method, route.path, policyOf(route)] as const))(
    'says of %s %s who may call it, how it fails, what it takes and what it answers',
    async (method, path, policy, { anonymous }) => {
      const { body } = await anonymous.get('/openapi/json')

      const { paths }: Document = body
      const operation = paths[written(path)]?.[method.toLowerCase()]
      expect(operation).toMatchObject({
        'x-permission': policy,
        responses: {
          default: { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
        },
      })
      expect(operation?.security).toEqual(policy === 'public' ? undefined : [{ bearer: [] }])
      expect(Object.keys(operation?.responses ?? {})).toContainEqual(expect.stringMatching(/^2\d\d$/))
      const takesBody = ['POST', 'PUT', 'PATCH'].includes(method) && !/\/(disable|retry)$/.test(path)
      expect(Object.keys(operation?.requestBody?.content ?? {})).toEqual(takesBody ? ['application/json'] : [])
    },
  )

  test('describes numbers of a query as optional numbers with their bounds', async ({ anonymous }) => {
    const { body } = await anonymous.get('/openapi/json')

    const { paths }: Document = body
    expect(paths['/api/v1/conversations']?.get?.parameters).toMatchObject([
      { name: 'limit', in: 'query', required: false, schema: { type: 'integer', minimum: 1, maximum: 100 } },
      { name: 'offset', in: 'query', required: false, schema: { type: 'integer', minimum: 0, maximum: 1_000_000 } },
      { name: 'cursor', in: 'query', required: false, schema: { type: 'string' } },
      { name: 'include_archived', in: 'query', required: false, schema: { enum: ['true', 'false'] } },
      { name: 'q', in: 'query', required: false, schema: { type: 'string', maxLength: 200 } },
    ])
  })

  type Answered = [
    method: string,
    path: string,
    address: string,
    body: object | undefined,
    status: number,
    type: string,
  ]
  test.each<Answered>([
    ['GET', '/health', '/health', undefined, 200, 'application/json'],
    ['GET', '/api/v1/conversations', '/api/v1/conversations', undefined, 200, 'application/json'],
    ['POST', '/api/v1/conversations', '/api/v1/conversations', {}, 201, 'application/json'],
    ['POST', '/api/v1/chat', '/api/v1/chat', { message: 'Hello' }, 200, 'application/json'],
    ['POST', '/api/v1/chat', '/api/v1/chat', { message: 'Hello', stream: true }, 200, 'text/event-stream'],
    ['GET', '/api/v1/analytics/export', '/api/v1/analytics/export', undefined, 200, 'text/csv'],
    ['GET', '/api/v1/analytics/export', '/api/v1/analytics/export?format=json', undefined, 200, 'application/json'],
    ['GET', '/api/v1/conversations/{id}', '/api/v1/conversations/x', undefined, 404, 'application/problem+json'],
  ])(
    'says what comes of %s %s: %s %j is %i with %s',
    async (method, path, address, sent, status, type, { adminA, model }) => {
      model.says('Hi')
      const { body } = await adminA.get('/openapi/json')

      const response = await adminA.send(method, address, { body: sent })

      const { paths }: Document = body
      const { [String(status)]: own, default: other } = paths[path]?.[method.toLowerCase()]?.responses ?? {}
      expect([response.status, response.headers.get('content-type')?.split(';')[0]]).toEqual([status, type])
      expect(Object.keys((own ?? other)?.content ?? {})).toContain(type)
    },
  )

  test('says of metrics that they are text', async ({ anonymous }) => {
    const { body } = await anonymous.get('/openapi/json')

    const { paths }: Document = body
    expect(Object.keys(paths['/metrics']?.get?.responses['200']?.content ?? {})).toEqual(['text/plain'])
  })

  test.each([['/api/v1/conversations/{id}'], ['/api/v1/admin/users/{id}'], ['/api/v1/plugins/{name}/config']] as const)(
    'says of DELETE %s that nothing comes back',
    async (path, { anonymous }) => {
      const { body } = await anonymous.get('/openapi/json')

      const { paths }: Document = body
      const { default: _, ...responses } = paths[path]?.delete?.responses ?? {}
      expect(Object.keys(responses)).toEqual(['204'])
      expect(responses['204']).not.toHaveProperty('content')
    },
  )

  test('says of every list that comes in pages how its next page and its total are told', async ({ anonymous }) => {
    const { body } = await anonymous.get('/openapi/json')

    const { paths }: Document = body
    const lists = Object.entries(paths).filter(([, { get }]) => get?.parameters?.some(({ name }) => name === 'limit'))
    expect(lists.map(([path]) => path).sort()).toEqual([
      '/api/v1/admin/audit',
      '/api/v1/admin/jobs',
      '/api/v1/admin/users',
      '/api/v1/analytics/users',
      '/api/v1/conversations',
      '/api/v1/conversations/{id}/messages',
    ])
    expect(lists.map(([, { get }]) => Object.keys(get?.responses['200']?.headers ?? {}))).toEqual(
      lists.map(() => ['X-Total-Count', 'Link']),
    )
  })

  test('names the header that lets a chat be repeated', async ({ anonymous }) => {
    const { body } = await anonymous.get('/openapi/json')

    const { paths }: Document = body
    expect(paths['/api/v1/chat']?.post?.parameters).toMatchObject([
      { name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', maxLength: 255 } },
    ])
  })

  test('says how lengths are counted, which is not as JSON Schema does', async ({ anonymous, operatorA }) => {
    const { body } = await anonymous.get('/openapi/json')

    const created = (title: string) => operatorA.post('/api/v1/conversations', { title })
    const answers = [await created('🚀'.repeat(100)), await created('🚀'.repeat(101))]

    expect(answers.map(({ status }) => status)).toEqual([201, 422])
    expect(body.paths['/api/v1/conversations'].post.requestBody.content['application/json'].schema).toMatchObject({
      properties: { title: { maxLength: 200 } },
    })
    expect(body.info.description).toContain('UTF-16 code units')
  })

  test('says of metadata which numbers do not come back as they went', async ({ anonymous, operatorA }) => {
    const { body } = await anonymous.get('/openapi/json')

    const created = await operatorA.post('/api/v1/conversations', '{"metadata":{"id":9007199254740993}}')

    const { schema } = body.paths['/api/v1/conversations'].post.requestBody.content['application/json']
    expect(created).toMatchObject({ status: 201, body: { metadata: { id: 9007199254740992 } } })
    expect(schema.properties.metadata.description).toContain('numbers as IEEE 754 doubles')
  })

  test('describes the bearer token and the problem document', async ({ anonymous }) => {
    const { body } = await anonymous.get('/openapi/json')

    const { components }: Document = body
    expect(components).toMatchObject({
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: {
        Problem: {
          required: ['type', 'title', 'status', 'detail', 'code', 'instance', 'request_id'],
          properties: {
            code: {
              enum: [
                'unauthenticated',
                'forbidden',
                'not_found',
                'conflict',
                'payload_too_large',
                'unsupported_media_type',
                'invalid_request',
                'rate_limited',
                'quota_exceeded',
                'internal',
                'provider_unavailable',
                'provider_timeout',
              ],
            },
          },
        },
      },
    })
  })
})

describe('GET /openapi', () => {
  test('is a page that takes everything from where it came', async ({ anonymous }) => {
    const page = await anonymous.get('/openapi')

    const sources = [...page.body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, source]) => source)
    expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } })
    expect(sources).toEqual(['data:,', '/openapi/swagger-ui.css', '/openapi/swagger-ui.js', '/openapi/start.js'])
    expect(page.headers['content-security-policy']).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    )
  })

  test.each([
    ['/openapi/swagger-ui.css', 'text/css; charset=utf-8', '.swagger-ui'],
    ['/openapi/swagger-ui.js', 'text/javascript; charset=utf-8', 'SwaggerUIBundle'],
    ['/openapi/start.js', 'text/javascript; charset=utf-8', "url: '/openapi/json'"],
  ] as const)('serves %s itself', async (path, type, part, { anonymous }) => {
    const response = await anonymous.get(path)

    expect(response).toMatchObject({ status: 200, headers: { 'content-type': type } })
    expect(response.body).toContain(part)
  })

  test.each([['/openapi'], ['/openapi/json'], ['/openapi/swagger-ui.js'], ['/openapi/start.js']] as const)(
    'is not there when it is switched off: %s',
    async (path, { anonymous }) => {
      const response = await strangerTo({ openapi: false }).get(path)

      expect(response).toMatchObject({ status: 404, body: { code: 'not_found' } })
      expect(await anonymous.get(path)).toMatchObject({ status: 200 })
    },
  )
})
