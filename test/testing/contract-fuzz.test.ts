import { Kind, Type } from '@sinclair/typebox'
import { Elysia, t } from 'elysia'
import * as fc from 'fast-check'
import { conversations } from '../../src/database/tables'
import { contractFuzz, type OwnKinds, outside, type Schema } from '../../src/testing'
import { mismatch, valuesOf, wrongValuesOf } from '../../src/testing/schema-values'
import { database, describe, expect, type Fixtures, test } from '../kit'
import { registered, speakingWith } from './registered'

const Note = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 20 }),
    size: Type.Optional(Type.Integer({ minimum: 0, maximum: 9 })),
  },
  { additionalProperties: false },
)
type Note = { title: string; size?: number }

type Options = Parameters<typeof contractFuzz<Fixtures>>[1]

/** An app with one route that keeps notes with a handler of the test's own, and the outcome of fuzzing it. */
const app = (keep: (body: Note) => unknown) =>
  new Elysia({ normalize: false }).post('/notes', ({ body }) => keep(body) as Note, {
    body: Note,
    response: { 200: Note },
  })

const fuzzed = (target: { routes: unknown }, all: Fixtures, options: Partial<Options> = {}) => {
  const { names, outcome } = registered((register) =>
    contractFuzz<Fixtures>(register, {
      routes: target.routes as Options['routes'],
      client: () => speakingWith(target as Elysia, all, {}),
      ...options,
    }),
  )
  return outcome(names[0] ?? '', all)
}

describe('a contract fuzz', () => {
  test('passes a route that keeps its contract', async (all) => {
    const sizes: unknown[] = []
    const kept = app((note) => {
      sizes.push(note.size)
      return note
    })

    const found = await fuzzed(kept, all)

    expect(found).toBe('passed')
    expect(new Set(sizes).size).toBeGreaterThan(3)
  })

  test('asks the same in every run', async (all) => {
    const keeping = (kept: Note[]) => (note: Note) => {
      kept.push(note)
      return note
    }
    const [first, second]: [Note[], Note[]] = [[], []]

    await fuzzed(app(keeping(first)), all)
    await fuzzed(app(keeping(second)), all)

    expect(first).toEqual(second)
    expect(first.length).toBeGreaterThan(10)
  })

  test('finds the smallest request that fails the app, and says how to repeat it', async (all) => {
    const fragile = app((note) => {
      if (note.size !== undefined && note.size > 4) throw new Error('Too big for me')
      return note
    })

    const found = await fuzzed(fragile, all)

    expect(found).toMatch(/^POST \/notes does not keep its contract: the answer is 500: "Too big for me"\n/)
    expect(found).toMatch(/\n {2}POST \/notes \{"title":".","size":5\}\n/)
    expect(found).toMatch(/\n {2}Found with TESTING_FUZZ_SEED=1, made smaller \d+ times\.$/)
  })

  test('finds an answer that is not what the route declares', async (all) => {
    const careless = new Elysia({ normalize: false }).post(
      '/notes',
      ({ body }) =>
        new Response(JSON.stringify({ ...body, size: 'big' }), { headers: { 'content-type': 'application/json' } }),
      {
        body: Note,
        response: { 200: Note },
      },
    )

    const found = await fuzzed(careless, all)

    expect(found).toStartWith(
      'POST /notes does not keep its contract: the answer 200 is not what the route declares: /size is no number: ',
    )
  })

  test('holds a route to the one answer that it declares', async (all) => {
    const wrong = () => new Response('{"size":"big"}', { headers: { 'content-type': 'application/json' } })
    const declaring = (keep: (note: Note) => unknown) =>
      new Elysia({ normalize: false }).post('/notes', ({ body }) => keep(body) as Note, { body: Note, response: Note })

    const kept = await fuzzed(
      declaring((note) => note),
      all,
    )
    const careless = await fuzzed(declaring(wrong), all)

    expect(kept).toBe('passed')
    expect(careless).toContain('the answer 200 is not what the route declares: /title is missing')
  })

  test('knows the models that routes name, and says how it is told of them', async (all) => {
    const models = { note: Note }
    const wrong = () => new Response('{"size":"big"}', { headers: { 'content-type': 'application/json' } })
    const naming = (keep: (note: Note) => unknown) =>
      new Elysia({ normalize: false })
        .model(models)
        .post('/notes', ({ body }) => keep(body) as Note, { body: 'note', response: { 200: 'note' } })

    const kept = await fuzzed(
      naming((note) => note),
      all,
      { models },
    )
    const careless = await fuzzed(naming(wrong), all, { models })
    const untold = await fuzzed(
      naming((note) => note),
      all,
    )

    expect(kept).toBe('passed')
    expect(careless).toContain('the answer 200 is not what the route declares: /title is missing')
    expect(untold).toBe(
      'POST /notes names the model "note", which the contract fuzz was not told of: say models: { note: ... }, as .model() does.',
    )
  })

  test('tells why the app failed', async (all) => {
    const failing = new Elysia({ normalize: false }).get('/notes', () => {
      outside.unexpected(new Error('Failed query: select', { cause: new Error('no such table: notes') }))
    })

    const found = await fuzzed(failing, all)

    expect(found).toContain('The app failed: Failed query: select, because of no such table: notes')
  })

  test('finds what is accepted although the schema does not allow it', async (all) => {
    const lax = new Elysia().post('/notes', () => 'kept')
    const routes = lax.routes.map((route) => ({ ...route, hooks: { body: Note } }))

    const found = await fuzzed(Object.assign(lax, {}), all, { routes })

    expect(found).toStartWith(
      'POST /notes does not keep its contract: what its schema does not allow is answered with 200',
    )
  })

  test('leaves unknown fields alone where the app is said to drop them, and says how', async (all) => {
    const dropping = new Elysia().post('/notes', ({ body }) => body, { body: Note, response: { 200: Note } })

    const found = await fuzzed(dropping, all)
    const told = await fuzzed(dropping, all, { unknownFields: 'dropped' })

    expect(found).toContain(
      "what its schema does not allow is answered with 200: Elysia drops fields that it does not know, unless it is built with `normalize: false`. Where that is meant, say unknownFields: 'dropped'.",
    )
    expect(told).toBe('passed')
  })

  test('does not want a field that has a default to be missed', async (all) => {
    const Draft = Type.Object(
      { title: Type.String(), folder: Type.String({ default: 'inbox' }) },
      { additionalProperties: false },
    )
    const filling = new Elysia({ normalize: false }).post('/notes', ({ body }) => body.folder, { body: Draft })

    const found = await fuzzed(filling, all)

    expect(found).toBe('passed')
  })

  const undemanding: [string, object][] = [
    ['a body', { body: Type.Any() }],
    ['a query', { query: Type.Object({ q: Type.Optional(Type.String()) }) }],
  ]
  test.each(undemanding)('ends where %s can say nothing wrong', async (_, hooks, all) => {
    const open = new Elysia({ normalize: false }).post('/notes', () => 'kept', hooks)

    const found = await fuzzed(open, all)

    expect(found).toBe('passed')
  })

  test('finds a refusal that does not look like one', async (all) => {
    const refusal = Type.Object({ code: Type.String() })

    const found = await fuzzed(
      app((note) => note),
      all,
      { refusal },
    )

    expect(found).toContain('the answer 422 is not what the route declares: /code is missing')
  })

  test('fails for a route that accepts nothing', async (all) => {
    const closed = new Elysia().get('/notes/:id', ({ status }) => status(404))

    const found = await fuzzed(closed, all)
    const withId = await fuzzed(
      new Elysia().get('/notes/:id', ({ params, status }) => (params.id === 'seven' ? 'it' : status(404))),
      all,
      {
        prepare: async () => ({ id: ['seven'] }),
      },
    )

    expect(found).toStartWith('GET /notes/:id accepted none of 60 requests, so that nothing is known of its answers')
    expect(withId).toBe('passed')
  })

  test("knows Elysia's types in bodies, queries and answers", async (all) => {
    const Measure = t.Object(
      { size: t.Integer({ minimum: 1, maximum: 9 }), isDone: t.BooleanString() },
      { additionalProperties: false },
    )
    const sizes = new Set<unknown>()
    const measuring = new Elysia({ normalize: false }).post(
      '/measures',
      ({ body, query }) => {
        sizes.add(body.size + query.page)
        return { ...body, on: new Date(0) }
      },
      {
        body: Measure,
        query: t.Object({ page: t.Integer({ minimum: 0, maximum: 0 }) }, { additionalProperties: false }),
        response: { 200: t.Composite([Measure, t.Object({ on: t.Date() })]) },
      },
    )

    const found = await fuzzed(measuring, all, { runs: 100 })

    expect(found).toBe('passed')
    expect([...sizes].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('asks for what there is, in fields at every depth and as what they take', async (all) => {
    const Lines = Type.Object({
      order: Type.Object({ lines: Type.Array(Type.Object({ product: Type.String(), count: Type.Integer() })) }),
    })
    const [products, counts] = [new Set<string>(), new Set<number>()]
    const shop = new Elysia({ normalize: false }).post(
      '/orders',
      ({ body: { order } }) => {
        for (const { product, count } of order.lines) {
          products.add(product)
          counts.add(count)
        }
        return 'ordered'
      },
      { body: Lines },
    )

    const found = await fuzzed(shop, all, {
      unknownFields: 'dropped',
      prepare: async () => ({ product: ['tea', 'milk'], count: ['4711', 'many'] }),
    })

    expect(found).toBe('passed')
    expect([...products]).toContain('tea')
    expect([...products]).toContain('milk')
    expect([...counts]).toContain(4711)
  })

  test('listens for a while to a stream without an end, and holds it to what is declared', async (all) => {
    const stream = (status: number) =>
      new Elysia({ normalize: false }).post(
        '/events',
        () =>
          new Response(new ReadableStream({ start: (to) => to.enqueue('data: {"size":1}\n\n') }), {
            status,
            headers: { 'content-type': 'text/event-stream' },
          }),
        { body: Note },
      )
    const options = { endless: ['POST /events'], listenMs: 5, runs: 3 }

    const kept = await fuzzed(stream(200), all, options)
    const broken = await fuzzed(stream(500), all, options)

    expect(kept).toBe('passed')
    expect(broken).toContain('the answer is 500: [{"event":"message","data":{"size":1}}]')
  })

  test('starts each request from the same state', async (all) => {
    const { tenantA, users } = all
    const counts = new Set<number>()
    const counting = app(async (note) => {
      counts.add(await database.$count(conversations))
      const [id, now] = [Bun.randomUUIDv7(), new Date()]
      await database
        .insert(conversations)
        .values({ tenant_id: tenantA.id, id, user_id: users.adminA.id, metadata: {}, created_at: now, updated_at: now })
      return note
    })

    const found = await fuzzed(counting, all)

    expect(found).toBe('passed')
    expect([...counts]).toEqual([0])
  })

  test('says of a kind that it does not know how to tell it', async (all) => {
    const Colour = Type.Unsafe<string>({ [Kind]: 'Colour', type: 'string' })
    const painted = { routes: [{ method: 'POST', path: '/paint', hooks: { body: Type.Object({ colour: Colour }) } }] }

    const found = await fuzzed(painted, all)

    expect(found).toStartWith(
      'The contract fuzz does not know the schema kind "Colour" ({"type":"string"}): say in `kinds`',
    )
  })
})

const kinds: OwnKinds = {
  Even: { values: () => fc.nat().map((n) => n * 2), accepts: (value) => typeof value === 'number' && value % 2 === 0 },
}
const schemas: [string, object][] = [
  ['an object', Note],
  ['strings within lengths', Type.String({ minLength: 3, maxLength: 5 })],
  ['strings of a pattern', Type.String({ pattern: '^[a-z]{2,4}-\\d+$' })],
  ['integers in bounds', Type.Integer({ exclusiveMinimum: 3, maximum: 5 })],
  ['any integers', Type.Integer()],
  ['numbers in bounds', Type.Number({ minimum: 0.5, exclusiveMaximum: 0.75 })],
  ['a union', Type.Union([Type.Boolean(), Type.Null(), Type.Literal('neither')])],
  ['an array', Type.Array(Type.Boolean(), { minItems: 1, maxItems: 2 })],
  ['a tuple', Type.Tuple([Type.Literal(1), Type.Boolean()])],
  ['a record', Type.Record(Type.String({ pattern: '^k\\d$' }), Type.Boolean())],
  ['anything', Type.Unknown()],
  ["Elysia's numbers", t.Object({ size: t.Integer({ minimum: 1, maximum: 9 }), ratio: t.Numeric({ minimum: 0.5 }) })],
  ["Elysia's booleans", t.BooleanString()],
  [
    "Elysia's objects and arrays",
    t.Object({ all: t.ArrayString(t.Integer()), one: t.ObjectString({ text: t.String() }) }),
  ],
  ["Elysia's dates", t.Date()],
  ["Elysia's choices", t.UnionEnum(['red', 'blue', 7])],
  ['a kind of its own', { [Kind]: 'Even' }],
]

describe('values made from a schema', () => {
  test.each(schemas)('fit %s', (_, schema) => {
    const made = fc.sample(valuesOf(schema as Schema, fc, kinds), { numRuns: 200, seed: 1 })

    const wrong = made.map((value) => mismatch(schema as Schema, value, kinds)).filter((found) => found !== undefined)

    expect(wrong).toEqual([])
  })

  test("are sent as they are and as their text, where Elysia's type takes both", () => {
    const made = fc.sample(valuesOf(t.Integer({ minimum: 1, maximum: 2 }) as Schema, fc, kinds), {
      numRuns: 50,
      seed: 1,
    })

    expect(new Set(made)).toEqual(new Set([1, 2, '1', '2']))
  })

  const misspelled: [string, unknown, object, string][] = [
    ['a number out of bounds', '0', t.Integer({ minimum: 1 }), 'is too small or too large'],
    ['no number', 'text', t.Numeric(), 'is no number'],
    ['no text of an object', '{', t.ObjectString({}), 'is no object'],
    ['no text of its boolean', 'yes', t.BooleanString(), 'is no boolean'],
    ['none of the choices', 'green', t.UnionEnum(['red', 'blue']), 'is none of ["red","blue"]'],
  ]
  test.each(misspelled)("are wrong where Elysia's type finds %s", (_, value, schema, why) => {
    expect(mismatch(schema as Schema, value, kinds)).toBe(`the whole ${why}`)
  })

  test('that are wrong are so in many ways', () => {
    const made = fc.sample(wrongValuesOf(Note as Schema, fc, kinds) ?? fc.constant(undefined), {
      numRuns: 300,
      seed: 1,
    })

    const ways = new Set(made.map((value) => mismatch(Note as Schema, value, kinds)))

    expect([...ways].sort()).toEqual([
      '/no-such-field is not declared',
      '/size is no integer',
      '/size is no number',
      '/size is too small or too large',
      '/title is missing',
      '/title is no string',
      '/title is too short or too long',
      'the whole is no object',
    ])
  })
})
