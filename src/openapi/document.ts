import { toOpenAPISchema } from '@elysiajs/openapi/openapi'
import type { AnyElysia } from 'elysia'
import type { Problem } from '../problem'

/** What every route may answer beside its own responses (see problem.ts). */
const problem = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'instance', 'request_id'] satisfies (keyof Problem)[],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
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

type Operation = { responses?: Record<string, unknown> }

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
      operation.responses = {
        ...operation.responses,
        default: {
          description: 'A problem (RFC 9457)',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      }
    }
  }
  return {
    openapi: '3.1.2',
    info: { title: 'Tenantry', version, description: 'Chats with language models, for products that have tenants.' },
    paths,
    components: {
      ...components,
      schemas: { ...components?.schemas, Problem: problem },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  }
}
