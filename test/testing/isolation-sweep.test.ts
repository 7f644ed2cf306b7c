import { and, eq } from 'drizzle-orm'
import { type Context, Elysia } from 'elysia'
import { conversations } from '../../src/database/tables'
import { isolationSweep } from '../../src/testing'
import { database, describe, expect, type Fixtures, test } from '../kit'
import { registered, speakingWith } from './registered'

type Names = { id: string; title: string; tenant: string }
type Options = Parameters<typeof isolationSweep<Fixtures, Names>>[1]
type Asked = { params: { id: string }; headers: Context['headers']; query: Record<string, string> }

const titles = { id: conversations.id, title: conversations.title }
const tenantOf = ({ headers }: Pick<Asked, 'headers'>) => headers['x-tenant'] ?? ''
const byId = (tenant_id: string, id: string) => and(eq(conversations.tenant_id, tenant_id), eq(conversations.id, id))

/** Notes that know their tenant from a header, and one handler of the test's own for `GET /notes/:id`. */
const notes = (get: (asked: Asked) => Promise<unknown>) =>
  new Elysia()
    .get('/notes/:id', (context) => get(context))
    .get('/notes', ({ headers }) => list(headers['x-tenant'] ?? ''))

const list = async (tenant_id: string) =>
  await database.select(titles).from(conversations).where(eq(conversations.tenant_id, tenant_id))

const careful = async (asked: Asked) => {
  const [found] = await database
    .select(titles)
    .from(conversations)
    .where(byId(tenantOf(asked), asked.params.id))
  return found ?? new Response('There is no such note.', { status: 404 })
}

const leaking = async ({ params }: Asked) =>
  (await database.select(titles).from(conversations).where(eq(conversations.id, params.id)))[0] ??
  new Response('There is no such note.', { status: 404 })

const optionsFor = (app: ReturnType<typeof notes>): Options => ({
  routes: app.routes,
  owner: (all) => speakingWith(app, all, { 'x-tenant': all.tenantA.id }),
  stranger: (all) => speakingWith(app, all, { 'x-tenant': all.tenantB.id }),
  async plant({ adminA, adminB, tenantA, tenantB }, _client, canary) {
    const isOwner = canary('title') !== 'canary-title-1b7e'
    const { body } = await (isOwner ? adminA : adminB).post('/api/v1/conversations', { title: canary('title') })
    return { id: body.id, title: body.title, tenant: (isOwner ? tenantA : tenantB).id }
  },
  nobodys: ({ id, tenant }) => ({
    id: `${id.slice(0, 24)}0123456789ab`,
    title: 'nobody',
    tenant: `${tenant.slice(0, 24)}0123456789ab`,
  }),
  sees: () => ['/notes'],
  rows: async ({ tenantA }) =>
    await database.select().from(conversations).where(eq(conversations.tenant_id, tenantA.id)),
  entries: {
    'GET /notes/:id': { owner: 200, attempts: ({ id }) => [{ path: `/notes/${id}` }] },
    'GET /notes': { owner: 200, attempts: () => [{ path: '/notes' }] },
  },
  smuggled: ({ tenant }) => ({ tenant_id: tenant }),
})

const sweep = (get: (asked: Asked) => Promise<unknown>, changes: Partial<Options> = {}) => {
  const app = notes(get)
  return registered((register) => isolationSweep<Fixtures, Names>(register, { ...optionsFor(app), ...changes }))
}

const one = 'GET /notes/:id keeps tenants apart'

describe('an isolation sweep', () => {
  test('passes an app that keeps its tenants apart', async (all) => {
    const { names, outcome } = sweep(careful)

    const outcomes = [
      await outcome('knows every route', all),
      await outcome(one, all),
      await outcome('GET /notes keeps tenants apart', all),
    ]

    expect(names).toEqual(['knows every route', one, 'GET /notes keeps tenants apart'])
    expect(outcomes).toEqual(['passed', 'passed', 'passed'])
  })

  test('fails for a route without an entry and an entry without a route', async (all) => {
    const { outcome } = sweep(careful, { entries: { 'GET /old': { owner: 200, attempts: () => [] } } })

    const found = await outcome('knows every route', all)

    expect(found).toBe(
      'The isolation sweep is not complete.\n' +
        '  GET /notes/:id has no entry: say how to call it.\n' +
        '  GET /notes has no entry: say how to call it.\n' +
        '  GET /old is no route: remove its entry.',
    )
  })

  const leaks: [string, (asked: Asked) => Promise<unknown>, RegExp][] = [
    [
      'an answer with a foreign row',
      async ({ params }) =>
        (await database.select(titles).from(conversations).where(eq(conversations.id, params.id)))[0],
      /\n {2}\/notes\/[0-9a-f-]{36} answered with canary-title-0a4d\.\n/,
    ],
    [
      'a header with a foreign name',
      async (asked) => {
        const [found] = await database.select(titles).from(conversations).where(eq(conversations.id, asked.params.id))
        const refused = await careful(asked)
        return refused instanceof Response
          ? new Response('There is no such note.', { status: 404, headers: { 'x-about': found?.title ?? 'none' } })
          : refused
      },
      /answered with canary-title-0a4d\./,
    ],
    [
      'a foreign row that was read, and then hidden',
      async (asked) => {
        await database.select(titles).from(conversations).where(eq(conversations.id, asked.params.id))
        return await careful(asked)
      },
      /\n {2}\/notes\/[0-9a-f-]{36} read canary-title-0a4d with: select "id", "title" from "conversations"/,
    ],
    [
      'another answer for what another tenant has than for what nobody has',
      async (asked) => {
        const known = await database.$count(conversations, eq(conversations.id, asked.params.id))
        const found = await careful(asked)
        return found instanceof Response && known > 0 ? new Response('That is not yours.', { status: 403 }) : found
      },
      /\n {2}\/notes\/[0-9a-f-]{36} is answered differently for names that nobody has:\n {4}403 .*That is not yours\.\n {4}404 /,
    ],
    [
      'an answer that depends on how much another tenant has',
      async (asked) => {
        const found = await careful(asked)
        return found instanceof Response
          ? new Response(`One of ${await database.$count(conversations)}.`, { status: 404 })
          : found
      },
      /\n {2}\/notes\/[0-9a-f-]{36} is answered differently without the other tenant:\n {4}404 .*One of 2\.\n {4}404 .*One of 1\./,
    ],
    [
      'a changed row of another tenant',
      async (asked) => {
        await database.update(conversations).set({ is_archived: true }).where(eq(conversations.id, asked.params.id))
        return await careful(asked)
      },
      /\n {2}\/notes\/[0-9a-f-]{36} changed rows of the owner\./,
    ],
    [
      'a tenant that is believed where it is not asked for',
      async (asked) => await careful({ ...asked, headers: { 'x-tenant': asked.query.tenant_id ?? tenantOf(asked) } }),
      /\n {2}\/notes\/[0-9a-f-]{36}\?tenant_id=[0-9a-f-]{36} answered with canary-title-0a4d\./,
    ],
  ]
  test.each(leaks)('finds %s', async (_, get, message, all) => {
    const { outcome } = sweep(get)

    const found = await outcome(one, all)

    expect(found).toStartWith('GET /notes/:id does not keep tenants apart.\n')
    expect(found).toMatch(message)
  })

  test('finds what was sent to a model', async (all) => {
    const { provider } = all
    const { outcome } = sweep(
      async (asked) => {
        const question = { question: (await list(all.tenantA.id))[0]?.title ?? null }
        for await (const _ of provider.reply(question, { stream: false, signal: new AbortController().signal }));
        return await careful(asked)
      },
      { each: () => void provider.says('Well') },
    )

    const found = await outcome(one, all)

    expect(found).toMatch(/\n {2}\/notes\/[0-9a-f-]{36} sent canary-title-0a4d out\./)
  })

  test('fails where the owner does not get or see its own', async (all) => {
    const { outcome } = sweep(async () => new Response('There is no such note.', { status: 404 }), {
      sees: () => ['/notes/none'],
    })

    const found = await outcome(one, all)

    expect(found).toMatch(
      /\n {2}The owner got 404 for \/notes\/[0-9a-f-]{36}, not 200: nothing shows that the attempts are right\./,
    )
    expect(found).toContain('\n  The owner does not see its own canary-title-0a4d.')
  })

  const tick = 'data: "tick"\n\n'
  /** An endless stream: what is found comes after `lateMs`, and between a tick every few ms. */
  const streaming =
    (find: (asked: Asked) => Promise<unknown>, { lateMs = 0, ticks = false } = {}) =>
    async (asked: Asked) => {
      const found = await find(asked)
      if (found instanceof Response) return found
      let timer: ReturnType<typeof setInterval> | undefined
      const body = new ReadableStream<string>({
        start(to) {
          if (ticks) timer = setInterval(() => to.enqueue(tick), 7)
          setTimeout(() => to.enqueue(`data: ${JSON.stringify(found)}\n\n`), lateMs)
        },
        cancel: () => clearInterval(timer),
      })
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    }
  const silent = new Response(new ReadableStream({ start: (to) => to.enqueue(': hello\n\n') }), {
    headers: { 'content-type': 'text/event-stream' },
  })

  test.each<[string, (asked: Asked) => Promise<unknown>, RegExp]>([
    ['keeps tenants apart', streaming(careful), /^passed$/],
    ['keeps them apart and ticks', streaming(careful, { ticks: true }), /^passed$/],
    ['tells one of the other', streaming(leaking), /answered with canary-title-0a4d\./],
    ['tells it late', streaming(leaking, { lateMs: 60, ticks: true }), /answered with canary-title-0a4d\./],
    ['tells nobody anything', async () => silent.clone(), /The owner heard nothing of it in 100 ms: nothing shows/],
  ])('listens for a while to a stream without an end that %s', async (_, find, outcome, all) => {
    const checks = sweep(find, { endless: ['GET /notes/:id'] })

    expect(await checks.outcome(one, all)).toMatch(outcome)
  })

  test('refuses a stream without an end of a route that there is not', () => {
    expect(() => sweep(careful, { endless: ['GET /typo'] })).toThrow('`endless` names GET /typo, which is no route.')
  })
})
