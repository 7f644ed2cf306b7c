import { Type } from '@sinclair/typebox'
import { dayAfter, isDay } from '../../../src/day'
import { oneOf, shape } from '../../../src/schema'
import { contractFuzz, type OwnKinds } from '../../../src/testing'
import { app, describe, type Fixtures, metricsToken, test } from '../../kit'
import { plantDeadJob } from '../dead-job'
import { bearer } from '../token'

const moment: OwnKinds[string] = {
  values: (_schema, fc) => fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  accepts: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
}

/** What the kinds of src/schema.ts are on the wire. */
const kinds: OwnKinds = {
  Timestamp: moment,
  WrittenTimestamp: moment,
  OneOf: {
    values: (schema, fc) => fc.constantFrom(...words(schema)),
    accepts: (value, schema) => words(schema).includes(value),
  },
  WholeNumber: {
    values: ({ minimum = 0, maximum = 0 }, fc) => fc.integer({ min: minimum, max: maximum }).map(String),
    accepts: (value, { minimum = 0, maximum = 0 }) =>
      /^\d{1,15}$/.test(String(value)) && Number(value) >= minimum && Number(value) <= maximum,
  },
  Day: {
    values: (_schema, fc) => fc.integer({ min: 0, max: 300 }).map((days) => dayAfter('2025-06-01', days)),
    accepts: (value) => typeof value === 'string' && isDay(value),
  },
  Download: {
    values: (_schema, fc) => fc.constant(''),
    accepts: (value) => Array.isArray(value) || /^[a-z_,\d]+\r\n/.test(String(value)),
  },
  EventStream: {
    values: (_schema, fc) => fc.constant([]),
    accepts: (value) =>
      Array.isArray(value) &&
      value.every(({ event }) => ['token', 'done', 'error'].includes(event)) &&
      value.length > 0,
  },
}

const words = (schema: object): unknown[] => ('enum' in schema && Array.isArray(schema.enum) ? schema.enum : [])

const Refusal = shape({
  type: Type.String({ pattern: '^urn:problem-type:[a-z_]+$' }),
  title: Type.String({ minLength: 1 }),
  status: Type.Integer({ minimum: 400, maximum: 499 }),
  detail: Type.String({ minLength: 1 }),
  code: oneOf(
    'unauthenticated',
    'forbidden',
    'not_found',
    'conflict',
    'invalid_request',
    'payload_too_large',
    'unsupported_media_type',
  ),
  instance: Type.String({ pattern: '^/' }),
  request_id: Type.String({ minLength: 1 }),
  errors: Type.Optional(
    Type.Array(
      shape({
        in: oneOf('body', 'query', 'path', 'header'),
        path: Type.String(),
        message: Type.String({ minLength: 1 }),
      }),
      { minItems: 1, maxItems: 20 },
    ),
  ),
})

/** A conversation with messages, and what leads to it; users there are. */
async function prepare({ adminA, tenantA, users, model }: Fixtures, route: string) {
  model.says('Hello')
  const { body: created } = await adminA.post('/api/v1/conversations', { title: 'Q3 planning' })
  await adminA.post('/api/v1/chat', { message: 'Hello?', conversation_id: created.id })
  const ids: string[] = route.includes('users')
    ? [users.viewerA.id, users.operatorA.id]
    : route.includes('jobs')
      ? [await plantDeadJob(tenantA.id)]
      : [created.id]
  const places = route.includes('messages') ? ['0', '1'] : ids
  return {
    id: ids,
    conversation_id: ids,
    name: ['test_courier', 'test_greeter'],
    cursor: places.map((place) => Buffer.from(place).toString('base64url')),
  }
}

describe('Every request that the schemas allow, and every other', () => {
  contractFuzz(test, {
    routes: app.routes,
    client: ({ adminA, client }: Fixtures, route) =>
      route === 'GET /metrics' ? client(() => bearer(metricsToken).headers) : adminA,
    prepare,
    each: ({ model }) => void model.says('Well'),
    kinds,
    refusal: Refusal,
  })
})
