import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { signToken } from '../../src/auth/tokens'
import { connect } from '../../src/database/database'
import { job_schedules } from '../../src/database/tables'
import { FakeProvider, says, type Turn } from '../fake-provider'
import { emptyDatabase, seeingAll } from '../own-database'
import { asksAt, jwtSecret, type Served, seed, startServer, tenantry } from '../process/program'

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

const preload = join(import.meta.dir, '../process/with-moved-clock.ts')
const jwt = { secret: jwtSecret, issuer: undefined, audience: 'tenantry', jwksUrl: undefined }
const startsAt = new Date('2027-03-02T10:00:00.000Z')
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const jumps: [string, number][] = [
  ['forward by an hour', hour],
  ['back by an hour', -hour],
  ['forward by 40 days', 40 * day],
  ['back by 40 days', -40 * day],
]

describe('The clock of a running service', () => {
  test.each(jumps)('set %s keeps the order of what was said, and every page whole', async (_, jump) => {
    await using world = await settable()
    const { ask, set } = world
    const [before, conversation] = [await ask('/conversations', {}), await ask('/conversations', {})]
    const say = (message: string) => ask('/chat', { conversation_id: conversation.body.id, message })

    await say('one')
    set(jump)
    const after = await ask('/conversations', {})
    await say('two')
    const messages = await world.pages(`/conversations/${conversation.body.id}/messages?limit=1`)
    const conversations = await world.pages('/conversations?limit=1')
    set(0)
    await say('three')

    const said = ['one', 'You asked: one', 'two', 'You asked: two']
    expect(messages.map(({ content }) => content)).toEqual(said)
    expect(await world.pages(`/conversations/${conversation.body.id}/messages?limit=4`)).toMatchObject(
      [...said, 'three', 'You asked: three'].map((content) => ({ content })),
    )
    // Newest first, by the clock.
    const [older, newer] = [before, conversation].map(({ body }) => body.id)
    const other = after.body.id
    expect(conversations.map(({ id }) => id)).toEqual(jump > 0 ? [other, newer, older] : [newer, older, other])
    expect(after.body.created_at.slice(0, 13)).toBe(world.at(jump).toISOString().slice(0, 13))
    expect(world.strange).toEqual([])
  })

  test('says when a token is over, and when it is not yet good', async () => {
    await using world = await settable()
    const { set } = world
    const me = (token: string) => world.ask('/me', undefined, { authorization: `Bearer ${token}` })
    const token = await world.token()

    const statuses: Record<string, number> = {}
    const look = async (when: string, which = token) => {
      statuses[when] = (await me(which)).status
    }
    await look('now')
    set(hour + minute)
    await look('an hour and a minute later')
    await look('a new one, then', await world.token())
    set(0)
    await look('after all, within its hour')
    set(-minute)
    await look('a minute before it was issued')
    await look('a new one, before', await world.token())
    set(0)
    await look('now again')

    expect(statuses).toEqual({
      now: 200,
      'an hour and a minute later': 401,
      'a new one, then': 200,
      'after all, within its hour': 200,
      'a minute before it was issued': 401,
      'a new one, before': 200,
      'now again': 200,
    })
  })

  test.each(jumps.filter(([, jump]) => jump < 0))(
    'set %s does not hold up a job that was to be tried again soon',
    async (_, jump) => {
      await using receiver = receiving(() => new Response('busy', { status: 503 }))
      await using world = await settable()
      await world.listen(receiver)
      const second = receiver.nth(2)

      await world.ask('/chat', { message: 'Hello' })
      await until(async () => (await world.jobs('plugin.event'))[0]?.last_error !== null)
      world.set(jump)
      await second

      expect(new Set(receiver.ids).size).toBe(1)
      await until(async () => (await world.jobs('plugin.event'))[0]?.state === 'done')
      expect(await world.jobs('plugin.event')).toMatchObject([{ state: 'done', attempts: 2 }])
    },
  )

  test('set forward past the lease of a running job has it done again under its id, and ended once', async () => {
    const rest = Promise.withResolvers<void>()
    await using receiver = receiving(() => rest.promise.then(() => new Response('late')))
    await using world = await settable()
    await world.listen(receiver)
    const [first, second] = [receiver.nth(1), receiver.nth(2)]

    await world.ask('/chat', { message: 'Hello' })
    await first
    world.set(hour)
    await second
    rest.resolve()
    await until(async () => (await world.jobs('plugin.event'))[0]?.state === 'done')

    expect(receiver.ids).toHaveLength(2)
    expect(new Set(receiver.ids).size).toBe(1)
    expect(await world.jobs('plugin.event')).toMatchObject([{ state: 'done', attempts: 2 }])
  })

  test('does what is due every hour once for each hour, and goes on after a wrong one', async () => {
    await using world = await settable()
    const counts: Record<string, number> = {}
    const reaches = async (when: string, count: number) => {
      await until(async () => (await world.done('quotas.reconcile')) >= count)
      counts[when] = await world.done('quotas.reconcile')
    }

    // It is due at 10:47, 11:47 and so on.
    await world.reckoned()
    world.set(hour)
    await reaches('at 11:00', 1)
    world.set(0)
    await world.reckoned()
    world.set(hour)
    await world.reckoned()
    world.set(2 * hour)
    await reaches('at 12:00, and 11:00 twice', 2)
    world.set(40 * day)
    await reaches('40 days later', 3)
    world.set(2 * hour + minute)
    await world.reckoned()
    world.set(3 * hour)
    await reaches('at 13:00, after 40 days ahead', 4)

    expect(counts).toEqual({
      'at 11:00': 1,
      'at 12:00, and 11:00 twice': 2,
      '40 days later': 3,
      'at 13:00, after 40 days ahead': 4,
    })
  })

  test('limits by its minute and month, and lets nobody wait for one that has been', async () => {
    await using world = await settable()
    const { set } = world
    const chat = async () => {
      const { status, body } = await world.ask('/chat', { message: 'Hello' })
      return status === 200 ? status : body.code
    }
    await world.change({ requests_per_minute: 1 })
    const minutes = [await chat(), await chat()]
    set(hour)
    minutes.push(await chat(), await chat())
    set(-hour)
    minutes.push(await chat(), await chat())
    await world.change({ requests_per_minute: null, monthly_token_quota: 15 })
    set(0)
    const months = [await chat()]
    set(40 * day)
    months.push(await chat(), await chat(), await chat(), await chat())
    set(0)
    months.push(await chat())

    expect(minutes).toEqual([200, 'rate_limited', 200, 'rate_limited', 200, 'rate_limited'])
    // Five tokens each, of which three chats are of March already.
    expect(months).toEqual(['quota_exceeded', 200, 200, 200, 'quota_exceeded', 'quota_exceeded'])
    expect(world.strange).toEqual([])
  })

  test('says on which day a request began, and nothing of how long it took', async () => {
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<void>()
    const slow: Turn = async (request) => {
      asked.resolve()
      await answer.promise
      return says('At last')(request)
    }
    await using world = await settable()
    world.provider.does(slow)
    const { set } = world

    const chat = world.ask('/chat', { message: 'Hello' })
    await asked.promise
    set(-2 * day)
    answer.resolve()
    const { status } = await chat
    await world.ask('/me')
    set(40 * day)
    await world.ask('/me')
    await world.ask('/me')
    await world.end()
    await world.begin()
    set(40 * day)

    const range = { start_date: '2027-02-28', end_date: '2027-04-11' }
    const days: Record<string, number>[] = (await world.ask(`/analytics/daily?${new URLSearchParams(range)}`)).body
    const rows: Recorded[] = await world.records(range)
    expect(status).toBe(200)
    expect(days.filter(({ total_requests }) => total_requests)).toMatchObject([
      { date: '2027-02-28', total_requests: 1 },
      { date: '2027-03-02', total_requests: 1, total_messages: 1 },
      { date: '2027-04-11', total_requests: 2 },
    ])
    expect(rows.filter(({ duration_ms }) => duration_ms < 0 || duration_ms > hour)).toEqual([])
    expect(await tenantry(['analytics', 'verify'], { DATABASE_URL: world.url })).toMatchObject({ code: 0 })
    expect(world.strange).toEqual([])
  })

  test('says for how long an Idempotency-Key is remembered', async () => {
    await using world = await settable()
    const { set } = world
    const send = () => world.ask('/chat', { message: 'Hello' }, { 'idempotency-key': 'once' })

    const first = await send()
    set(-hour)
    const before = await send()
    set(23 * hour)
    const later = await send()
    set(25 * hour)
    const nextDay = await send()

    expect([first, before, later, nextDay].map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect([before.body, later.body]).toEqual([first.body, first.body])
    expect(nextDay.body.message_id).not.toBe(first.body.message_id)
    expect(world.provider.asked).toHaveLength(2)
  })

  test('says what is older than the tenant keeps it, and nothing younger goes', async () => {
    await using world = await settable()
    const { set } = world
    const kept = async () => {
      const rows: Recorded[] = await world.records({ start_date: '2027-03-02', end_date: '2027-03-02' })
      return rows.filter(({ route }) => route === '/api/v1/me').length
    }
    const pruned = async (times: number) => {
      await until(async () => (await world.done('analytics.prune')) === times)
      return await kept()
    }

    await world.change({ retention_days: 30 })
    await world.ask('/me')
    await until(async () => (await kept()) === 1)
    set(day)
    const nextDay = await pruned(1)
    set(-40 * day)
    await world.reckoned()
    set(-39 * day)
    const before = await pruned(2)
    set(30 * day)
    const onTheLast = await pruned(3)
    set(31 * day)
    const after = await pruned(4)

    expect([nextDay, before, onTheLast, after]).toEqual([1, 1, 1, 0])
  })
})

type Recorded = { created_at: string; route: string; duration_ms: number }
// biome-ignore lint/suspicious/noExplicitAny: a test knows what it asked for
type Answer = { status: number; body: any; link: string | null }

/** A service whose clock begins at `startsAt` and is set by the test, with a tenant and its admin. */
async function settable() {
  const database = await emptyDatabase()
  const provider = new FakeProvider()
  const file = join(database.folder, 'clock')
  let ahead = 0
  const set = (jump: number) => {
    ahead = startsAt.getTime() + jump - Date.now()
    // At once or not at all: the service may read it right now.
    writeFileSync(`${file}.next`, String(ahead))
    renameSync(`${file}.next`, file)
  }
  set(0)
  const { tenant_id } = await seed(database.url)
  const clock = { now: () => new Date(Date.now() + ahead) }
  const token = () => signToken({ sub: 'ada', tenant_id, role: 'admin' }, jwt, clock, 3600)
  const env = {
    ...{ DATABASE_URL: database.url, CLOCK_FILE: file, EGRESS_ALLOW: '127.0.0.1', ...asksAt(provider) },
    ENCRYPTION_KEY: 'vMq83RWeJ5Td0kP7xI2cLs9hZfNyA4uGb6OoEw1XQrk=',
  }
  let served: Served = await startServer(env, { preload })
  const strange: string[] = []

  const ask = async (
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    method?: string,
  ): Promise<Answer> => {
    const response = await fetch(`${served.url}/api/v1${path}`, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { authorization: `Bearer ${await token()}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const timing = response.headers.get('server-timing') ?? ''
    if (!/^app;dur=\d+\.\d\d$/.test(timing)) strange.push(`${path} took ${timing}`)
    if (Number(response.headers.get('retry-after') ?? 1) < 1) strange.push(`${path} may be asked again at once`)
    return { status: response.status, body: await response.json(), link: response.headers.get('link') }
  }

  const jobs = async (kind: string): Promise<Record<string, unknown>[]> =>
    (await ask(`/admin/jobs?limit=100&kind=${kind}`)).body

  const done = new Map<string, Set<unknown>>()

  return {
    url: database.url,
    provider,
    /** Requests whose answer says something of time that cannot be. */
    strange,
    /** Sets the clock to so many ms after `startsAt`, or before it. */
    set,
    at: (jump: number) => new Date(startsAt.getTime() + jump),
    token,
    /** Asks as the admin, with a token of that moment. */
    ask,
    /** The jobs of a kind, newest first. */
    jobs,

    /** How many of them were ever seen done: they are removed some days later, by the clock. */
    async done(kind: string): Promise<number> {
      const seen = done.get(kind) ?? new Set()
      done.set(kind, seen)
      for (const { id, state } of await jobs(kind)) if (state === 'done') seen.add(id)
      return seen.size
    },

    async pages(path: string): Promise<Record<string, unknown>[]> {
      const rows: Record<string, unknown>[] = []
      for (let next: string | undefined = path; next !== undefined; ) {
        const { body, link }: Answer = await ask(next)
        rows.push(...body)
        next = /^<\/api\/v1([^>]+)>/.exec(link ?? '')?.[1]
      }
      return rows
    },

    change: (settings: object) => ask('/admin/tenant/settings', settings, {}, 'PATCH'),

    records: async (range: Record<string, string>): Promise<Recorded[]> =>
      (await ask(`/analytics/export?${new URLSearchParams({ ...range, rows: 'requests', format: 'json' })}`)).body,

    /** Has what is said in chats posted there. */
    listen: ({ url }: { url: string }) =>
      ask('/plugins/webhook/enable', { config: { url, events: ['message.created'] } }),

    /** Resolves when what the service does every hour is due within the next one, by the clock as it is set now. */
    async reckoned() {
      await using connection = connect(database.url)
      const next = async () => {
        const [schedule] = await seeingAll(() =>
          connection.database.select().from(job_schedules).where(eq(job_schedules.name, 'quotas.reconcile')),
        )
        return (schedule?.next_at.getTime() ?? 0) - clock.now().getTime()
      }
      await until(async () => (await next()) > 0 && (await next()) <= hour)
    },

    async end() {
      served.kill('SIGTERM')
      await served.exited
    },

    async begin() {
      served = await startServer(env, { preload })
    },

    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]()
      await provider[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** A webhook's receiver that answers the first time as it is told, and well afterwards. */
function receiving(first: () => Response | Promise<Response>) {
  const ids: (string | null)[] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      ids.push(request.headers.get('webhook-id'))
      for (const { count, resolve } of waiting) if (ids.length >= count) resolve()
      return ids.length === 1 ? first() : new Response('thanks')
    },
  })
  return {
    url: server.url.href,
    /** Of what came, by when it came. */
    ids,
    /** Resolves when that many have come. */
    nth(count: number): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push({ count, resolve })
      return promise
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(20)
}
