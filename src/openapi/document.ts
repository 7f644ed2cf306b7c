import { toOpenAPISchema } from '@elysiajs/openapi/openapi'
import type { AnyElysia } from 'elysia'
import { errorCodes, type Problem } from '../problem'

/** What every route may answer beside its own responses (see problem.ts). */
const problem = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'instance', 'request_id'] satisfies (keyof Problem)[],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: errorCodes },
    instance: { type: 'string' },
    request_id: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          in: { enum: ['body', 'query', 'path', 'header'] },
          path: { type: 'string' },
          message: { type: 'string' },
        },
      },
    },
  },
}

/** What a route answers, as @elysiajs/openapi tells it: all under one media type, and what has no body as one of its own. */
type Answer = { description: string; content?: Record<string, { schema?: Form }> }
type Form = { contentMediaType?: string; anyOf?: Form[] }
type Operation = { parameters?: { name: string }[]; responses?: Record<string, Answer> }

/** The same with each form under the media type that it says (`contentMediaType`), JSON where it says none. */
function answered({ content = {}, ...answer }: Answer): Answer {
  if ('type' in content) return answer // void
  const schema = content['application/json']?.schema
  if (!schema?.anyOf?.some(({ contentMediaType }) => contentMediaType)) return { ...answer, content }
  const forms = schema.anyOf.map(({ contentMediaType = 'application/json', ...form }) => [
    contentMediaType,
    { schema: form },
  ])
  return { ...answer, content: Object.fromEntries(forms) }
}

/** Of a list that comes in pages (see page.ts). */
const pageHeaders = {
  'X-Total-Count': { description: 'Rows on all pages', schema: { type: 'integer' } },
  Link: { description: 'The next page as `<...>; rel="next"`, where there is one', schema: { type: 'string' } },
}

/** The OpenAPI 3.1 description of the app, made from the schemas of its routes. */
export function openapiDocument(app: AnyElysia, version: string) {
  const { paths, components } = toOpenAPISchema(
    app,
    { methods: ['options'], paths: [/^\/(openapi|dashboard)/] },
    undefined,
    undefined,
    '3.1.2',
  )
  for (const path of Object.values(paths as Record<string, Record<string, Operation>>)) {
    for (const operation of Object.values(path)) {
      const isPaged = operation.parameters?.some(({ name }) => name === 'limit')
      const answers = Object.entries(operation.responses ?? {}).map(([status, answer]) => [
        status,
        { ...answered(answer), ...(isPaged && { headers: pageHeaders }) },
      ])
      operation.responses = {
        ...Object.fromEntries(answers),
        default: {
          description: 'A problem (RFC 9457)',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      }
    }
  }
  return {
    openapi: '3.1.2',
    info: {
      title: 'Tenantry',
      version,
      description:
        'Chats with language models, for products that have tenants.\n\nLengths of texts are counted in UTF-16 code units: most emoji are two.',
    },
    paths,
    components: {
      ...components,
      schemas: { ...components?.schemas, Problem: problem },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  }
}
