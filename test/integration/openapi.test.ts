import { policyOf } from '../../src/auth/access'
import { app, describe, expect, test } from '../kit'
import { strangerTo } from '../speaking'

type Body = { content: Record<string, unknown> }
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

  test('describes the bearer token and the problem document', async ({ anonymous }) => {
    const { body } = await anonymous.get('/openapi/json')

    const { components }: Document = body
    expect(components).toMatchObject({
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: {
        Problem: { required: ['type', 'title', 'status', 'detail', 'code', 'instance', 'request_id'] },
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
