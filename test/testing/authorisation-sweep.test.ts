import { and, eq } from 'drizzle-orm'
import { type AnyElysia, Elysia } from 'elysia'
import { conversations } from '../../src/database/tables'
import { authorisationSweep, type Caller, type RightRequest } from '../../src/testing'
import { database, describe, expect, type Fixtures, test } from '../kit'
import { registered, speakingWith } from './registered'

type Policy = 'read' | 'write'
type Route = { method: string; path: string }

/** An app whose callers say in a header what they may. */
const careful = (kept: () => unknown = () => 'kept') =>
  new Elysia()
    .onBeforeHandle(({ request, path, status }) => {
      if (path === '/about') return
      const may = request.headers.get('x-may')
      if (may === null) return status(401)
      if (request.method !== 'GET' && may !== 'write') return status(403)
    })
    .get('/about', () => 'about')
    .get('/notes', () => [])
    .post('/notes/:id', kept)

const policies: Record<string, Policy | 'public'> = {
  'GET /about': 'public',
  'GET /notes': 'read',
  'POST /notes/:id': 'write',
}
const policyOf = ({ method, path }: Route) => policies[`${method} ${path}`]

const requests: Record<string, () => RightRequest> = {
  'GET /about': () => ({ path: '/about', status: 200 }),
  'GET /notes': () => ({ path: '/notes?limit=1', status: 200 }),
  'POST /notes/:id': () => ({ path: '/notes/7', body: { text: 'Milk' }, status: 200 }),
}

const callersOf = (app: AnyElysia): Record<'nobody' | 'reader' | 'writer', Caller<Fixtures, Policy>> => ({
  nobody: { client: (all) => speakingWith(app, all, {}), refusal: () => 401 },
  reader: {
    client: (all) => speakingWith(app, all, { 'x-may': 'read' }),
    refusal: (policy) => (policy === 'read' ? undefined : 403),
  },
  writer: { client: (all) => speakingWith(app, all, { 'x-may': 'write' }), refusal: () => undefined },
})

type Options = Parameters<typeof authorisationSweep<Fixtures, Route, Policy>>[1]

const sweep = (app: AnyElysia, changes: Partial<Options> = {}) =>
  registered((register) =>
    authorisationSweep<Fixtures, Route, Policy>(register, {
      routes: app.routes,
      policyOf,
      callers: callersOf(app),
      requests,
      ...changes,
    }),
  )

const complete = 'knows every route, who is let in there and who is not'
const posted = 'POST /notes/:id answers each caller as its policy says'

describe('an authorisation sweep', () => {
  test('has a check for each route, and passes an app that keeps its policies', async (all) => {
    const { names, outcome } = sweep(careful())

    const outcomes: string[] = []
    for (const name of names) outcomes.push(await outcome(name, all))

    expect(names.join()).toBe(
      `${complete},GET /about answers each caller as its policy says,GET /notes answers each caller as its policy says,${posted}`,
    )
    expect(outcomes).toEqual(['passed', 'passed', 'passed', 'passed'])
  })

  test('fails for a route without an entry and an entry without a route', async (all) => {
    const { 'GET /notes': _, ...others } = requests
    const { outcome } = sweep(careful(), { requests: { ...others, 'GET /old': () => ({ path: '/old', status: 200 }) } })

    const found = await outcome(complete, all)

    expect(found).toBe(
      'The authorisation sweep is not complete.\n' +
        '  GET /notes has no entry: say how to call it.\n' +
        '  GET /old is no route: remove its entry.',
    )
  })

  test('fails for a route without a policy', async (all) => {
    const { outcome } = sweep(
      careful().get('/new', () => 'new'),
      {
        requests: { ...requests, 'GET /new': () => ({ path: '/new', status: 200 }) },
      },
    )

    const found = await outcome(complete, all)

    expect(found).toBe('The authorisation sweep is not complete.\n  GET /new declares no policy.')
  })

  test('fails where nobody is let in, and where nobody is refused', async (all) => {
    const app = careful()
    const { nobody, writer } = callersOf(app)
    const closed = sweep(app, { callers: { nobody } })
    const open = sweep(app, { callers: { writer } })

    const found = [await closed.outcome(complete, all), await open.outcome(complete, all)]

    expect(found).toEqual([
      'The authorisation sweep is not complete.\n' +
        '  GET /notes lets no caller in: nothing shows that it is reached.\n' +
        '  POST /notes/:id lets no caller in: nothing shows that it is reached.',
      'The authorisation sweep is not complete.\n  GET /notes refuses no caller.\n  POST /notes/:id refuses no caller.',
    ])
  })

  test('names who came in without the right to, and who was kept out with it', async (all) => {
    const careless = new Elysia()
      .onBeforeHandle(({ request, status }) => (request.headers.get('x-may') === 'write' ? status(403) : undefined))
      .post('/notes/:id', () => 'kept')
    const { outcome } = sweep(careless)

    const found = await outcome(posted, all)

    expect(found).toBe(
      'POST /notes/:id declares the policy write.\n' +
        '  nobody: expected 401, and got 200.\n' +
        '  reader: expected 403, and got 200.\n' +
        '  writer: expected 200, and got 403.',
    )
  })

  test('fails where somebody is refused after the work was done', async (all) => {
    const { tenantA, users } = all
    const now = new Date()
    const late = new Elysia().post('/notes/:id', async ({ request, status }) => {
      const id = Bun.randomUUIDv7()
      const row = {
        tenant_id: tenantA.id,
        id,
        user_id: users.adminA.id,
        metadata: {},
        created_at: now,
        updated_at: now,
      }
      await database.insert(conversations).values(row)
      const may = request.headers.get('x-may')
      return may === 'write' ? 'kept' : status(may === null ? 401 : 403)
    })
    const { outcome } = sweep(late)

    const found = await outcome(posted, all)

    expect(found).toContain('\n  nobody: refused with 401, after it had written: insert into "conversations"')
    expect(found).toContain('\n  reader: refused with 403, after it had written: insert into "conversations"')
    expect(found).not.toContain('writer')
  })

  test('passes where what was done before somebody was refused is undone, or was nothing', async (all) => {
    const { tenantA } = all
    const mine = and(eq(conversations.tenant_id, tenantA.id), eq(conversations.title, 'of nobody'))
    const late = new Elysia().post('/notes/:id', async ({ request, status }) => {
      const may = request.headers.get('x-may')
      await database.update(conversations).set({ title: 'changed' }).where(mine).returning()
      const work = database.transaction(async () => {
        await database.update(conversations).set({ title: 'changed' }).where(eq(conversations.tenant_id, tenantA.id))
        if (may !== 'write') throw new Error('refused')
      })
      await work.catch(() => {})
      return may === 'write' ? 'kept' : status(may === null ? 401 : 403)
    })
    const { outcome } = sweep(late)

    const found = await outcome(posted, all)

    expect(found).toBe('passed')
  })

  test('takes any body, also one that is called JSON and is lines of it', async (all) => {
    const lines = () => new Response('{"a":1}\n{"a":2}\n', { headers: { 'content-type': 'application/jsonl' } })
    const { outcome } = sweep(careful(lines))

    const found = await outcome(posted, all)

    expect(found).toBe('passed')
  })

  test('hangs up on a stream without an end', async (all) => {
    const events = () =>
      new Response(
        new ReadableStream<string>({
          async pull(controller) {
            await Bun.sleep(10)
            controller.enqueue('data: still here\n\n')
          },
        }),
      )
    const { outcome } = sweep(careful(events), { endless: ['POST /notes/:id'] })

    const found = await outcome(posted, all)

    expect(found).toBe('passed')
  })

  const unreached: [string, RightRequest, string][] = [
    ['another path', { path: '/notes', status: 200 }, 'the request goes to /notes, which is not this route.'],
    ['an error', { path: '/notes/7', status: 404 }, 'the request is said to be right, and to be answered with 404.'],
  ]
  test.each(unreached)(
    'takes a request to %s for no proof that the route is reached',
    async (_, request, problem, all) => {
      const { outcome } = sweep(careful(), { requests: { ...requests, 'POST /notes/:id': () => request } })

      const found = await outcome(posted, all)

      expect(found).toContain(`\n  writer: ${problem}`)
    },
  )

  test('leaves no rows behind, whoever was let in', async (all) => {
    const { adminA } = all
    const { outcome } = sweep(careful(), {
      requests: {
        ...requests,
        'POST /notes/:id': async () => {
          const { body } = await adminA.post('/api/v1/conversations', { title: 'Made for each caller' })
          return { path: `/notes/${body.id}`, status: 200 }
        },
      },
    })

    const found = await outcome(posted, all)

    const left = await adminA.get('/api/v1/conversations')
    expect(found).toBe('passed')
    expect(left.body).toEqual([])
  })
})
