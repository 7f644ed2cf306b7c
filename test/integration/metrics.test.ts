import { buildApp } from '../../src/app'
import type { Deps } from '../../src/deps'
import { HopelessJob } from '../../src/jobs/job'
import { enqueue } from '../../src/jobs/queue'
import { ProviderFailure } from '../../src/providers/provider'
import { type Client, client } from '../../src/testing'
import { deps, describe, expect, type Fixtures, metricsToken, newMetrics, startsAt, test, tokenOf } from '../kit'
import { withLimits } from '../speaking'
import { plantDeadJob } from './dead-job'
import { after, note, noting, working } from './jobs/working'
import { bearer, claimsOf, handmade } from './token'

/** An app that counts by itself, and how one speaks with it. Each request takes 20 ms. */
function counting(changes: Partial<Deps> = {}) {
  const metrics = newMetrics()
  let now = 0
  const stopwatch = () => (now += 20)
  const app = buildApp({ ...deps, metrics, observers: [metrics.request], stopwatch, ...changes })
  const speaking = (headersOf: () => Promise<Record<string, string>>): Client =>
    client(async (request) => await app.handle(request), headersOf)
  const prometheus = speaking(async () => bearer(metricsToken).headers)
  return {
    metrics,
    routes: app.routes,
    as: (user: Parameters<typeof tokenOf>[0]) => speaking(async () => bearer(await tokenOf(user)).headers),
    nobody: speaking(async () => ({})),
    prometheus,
    scrape: async (): Promise<string> => (await prometheus.get('/metrics')).body,
  }
}

/** The lines that begin so, in order. */
const linesOf = (text: string, ...beginnings: string[]): string[] =>
  text.split('\n').filter((line) => beginnings.some((beginning) => line.startsWith(beginning)))

const requestCounts = (text: string) => linesOf(text, 'tenantry_http_request_duration_seconds_count')

describe('What /metrics says of requests', () => {
  test('are exactly those that were made, by method, declared route and class of status', async ({ users }) => {
    const { as, nobody, scrape } = counting()
    const [viewer, operator] = [as(users.viewerA), as(users.operatorA)]
    await nobody.get('/health')
    await nobody.get('/api/v1/me')
    await viewer.get('/api/v1/me')
    await viewer.get('/api/v1/me')
    const { body: created } = await operator.post('/api/v1/conversations', {})
    await operator.get(`/api/v1/conversations/${created.id}`)
    await viewer.post('/api/v1/conversations', {})
    await nobody.get('/no/such/place')

    const first = await scrape()
    const second = await scrape()

    const name = 'tenantry_http_request_duration_seconds'
    expect(requestCounts(first)).toEqual([
      `${name}_count{method="GET",route="/health",status="2xx"} 1`,
      `${name}_count{method="GET",route="/api/v1/me",status="4xx"} 1`,
      `${name}_count{method="GET",route="/api/v1/me",status="2xx"} 2`,
      `${name}_count{method="POST",route="/api/v1/conversations",status="2xx"} 1`,
      `${name}_count{method="GET",route="/api/v1/conversations/:id",status="2xx"} 1`,
      `${name}_count{method="POST",route="/api/v1/conversations",status="4xx"} 1`,
      `${name}_count{method="GET",route="(unmatched)",status="4xx"} 1`,
    ])
    expect(requestCounts(second)).toEqual([
      ...requestCounts(first),
      `${name}_count{method="GET",route="/metrics",status="2xx"} 1`,
    ])
  })

  test('have their time in seconds', async ({ users }) => {
    const { as, scrape } = counting()
    await as(users.viewerA).get('/api/v1/me')
    await as(users.viewerA).get('/api/v1/me')

    const text = await scrape()

    const [name, labels] = ['tenantry_http_request_duration_seconds', 'method="GET",route="/api/v1/me",status="2xx"']
    expect(linesOf(text, `${name}_bucket{le="0.01",`, `${name}_bucket{le="0.025",`, `${name}_sum`)).toEqual([
      `${name}_bucket{le="0.01",${labels}} 0`,
      `${name}_bucket{le="0.025",${labels}} 2`,
      `${name}_sum{${labels}} 0.04`,
    ])
  })

  test('are all there, also those from before prom-client was loaded', async () => {
    const { nobody, scrape } = counting()
    for (let made = 0; made < 1100; made++) await nobody.get('/health')

    const text = await scrape()

    expect(requestCounts(text)).toEqual([
      'tenantry_http_request_duration_seconds_count{method="GET",route="/health",status="2xx"} 1100',
    ])
  })

  test('stay few, whatever is asked for', async ({ users }) => {
    const { as, nobody, routes, scrape } = counting()
    const viewer = as(users.viewerA)
    for (let made = 0; made < 500; made++) {
      const word = crypto.randomUUID()
      await nobody.send(made % 2 === 0 ? 'PROPFIND' : 'MKCOL', `/${word}?${word}=${word}`)
      await viewer.get(`/api/v1/conversations/${word}`)
    }

    const text = await scrape()

    const asked = new Set([...text.matchAll(/route="([^"]*)"/g)].map(([, route]) => route))
    expect([...asked]).toEqual(['(unmatched)', '/api/v1/conversations/:id'])
    expect(routes.map(({ path }) => path)).toContain('/api/v1/conversations/:id')
    expect(requestCounts(text)).toEqual([
      'tenantry_http_request_duration_seconds_count{method="OTHER",route="(unmatched)",status="4xx"} 500',
      'tenantry_http_request_duration_seconds_count{method="GET",route="/api/v1/conversations/:id",status="4xx"} 500',
    ])
  })
})

describe('What /metrics says of a provider', () => {
  /** How many ended in which way; all ways are there from the beginning, so that the first failure is an increase. */
  const attempts = (text: string) =>
    Object.fromEntries(
      linesOf(text, 'tenantry_provider_attempt_duration_seconds_count').map((line) => {
        const [, outcome = '', count] = /outcome="(\w+)"} (\d+)/.exec(line) ?? []
        return [outcome, Number(count)]
      }),
    )
  const none = { ok: 0, failed: 0, timeout: 0, interrupted: 0 }

  test('that was not asked', async () => {
    expect(attempts(await counting().scrape())).toEqual(none)
  })

  const ends: [string, (model: Fixtures['model']) => unknown, number, Partial<typeof none>][] = [
    ['gave a reply', (model) => model.says('Hello'), 200, { ok: 1 }],
    ['failed', (model) => model.fails(new ProviderFailure('No.', 'failed')), 502, { failed: 1 }],
    ['gave nothing', (model) => model.says(''), 502, { failed: 1 }],
    ['did not answer in time', (model) => model.does({ type: 'hang' }), 504, { timeout: 1 }],
    [
      'was busy, and then gave a reply',
      (model) => model.fails(new ProviderFailure('Later.', 'busy')).says('Hello'),
      200,
      { failed: 1, ok: 1 },
    ],
  ]
  test.each(ends)('that %s', async (_, script, status, outcomes, { users, model }) => {
    const { as, scrape } = counting(withLimits({ totalMs: 60 }))
    script(model)
    const answer = await as(users.operatorA).post('/api/v1/chat', { message: 'Hello?' })

    const text = await scrape()

    expect(answer.status).toBe(status)
    expect(attempts(text)).toEqual({ ...none, ...outcomes })
  })

  test('that nobody waited for any longer', async ({ users, model, settle }) => {
    const { as, scrape } = counting()
    const leaving = new AbortController()
    model.does({ type: 'hang' })
    const body = { message: 'Hello?', stream: true }
    const response = await as(users.operatorA).send('POST', '/api/v1/chat', { body, signal: leaving.signal })
    await model.hanging
    leaving.abort()
    await response.body?.cancel()
    await settle()

    const text = await scrape()

    expect(attempts(text)).toEqual({ ...none, interrupted: 1 })
    expect(linesOf(text, 'tenantry_provider_first_piece_seconds_count')).toEqual([
      'tenantry_provider_first_piece_seconds_count 0',
    ])
  })
})

describe('What /metrics says of jobs', () => {
  test('is how many of all tenants are due, wait, run and are dead, and since when the first is due', async ({
    tenantA,
    tenantB,
    clock,
  }) => {
    const { scrape } = counting()
    await plantDeadJob(tenantA.id)
    await plantDeadJob(tenantA.id, { state: 'queued', due_at: startsAt })
    await plantDeadJob(tenantB.id, { state: 'queued', due_at: after(30, startsAt) })
    await plantDeadJob(tenantA.id, { state: 'running', due_at: after(20, startsAt) }) // its lease is over by then
    await plantDeadJob(tenantB.id, { state: 'running', due_at: after(120, startsAt) })
    await plantDeadJob(tenantA.id, { state: 'queued', due_at: after(61, startsAt) })
    await plantDeadJob(tenantB.id, { state: 'queued', due_at: after(3600, startsAt) })
    const before = await scrape()
    clock.advance({ seconds: 60 })

    const text = await scrape()

    const jobs = (text: string) => linesOf(text, 'tenantry_jobs')
    expect(jobs(before)).toEqual([
      'tenantry_jobs{state="due"} 1',
      'tenantry_jobs{state="waiting"} 3',
      'tenantry_jobs{state="running"} 2',
      'tenantry_jobs{state="dead"} 1',
      'tenantry_jobs_oldest_due_seconds 0',
    ])
    expect(jobs(text)).toEqual([
      'tenantry_jobs{state="due"} 3',
      'tenantry_jobs{state="waiting"} 2',
      'tenantry_jobs{state="running"} 1',
      'tenantry_jobs{state="dead"} 1',
      'tenantry_jobs_oldest_due_seconds 60',
    ])
  })

  test('is how attempts in this process ended', async ({ tenantA }) => {
    const { metrics, scrape } = counting()
    const kind = noting(({ text }) => {
      if (text === 'hopeless') throw new HopelessJob('It is no use.')
      if (text === 'unlucky') throw new Error('Not now.')
    })
    const { jobDeps, worker } = working([kind], { onAttempt: metrics.jobAttempt })
    for (const text of ['good', 'good', 'hopeless', 'unlucky']) await enqueue(jobDeps, tenantA.id, note(text))
    await worker.runDue()

    const text = await scrape()

    expect(linesOf(text, 'tenantry_job_attempts_total').sort()).toEqual([
      'tenantry_job_attempts_total{kind="note",outcome="dead"} 1',
      'tenantry_job_attempts_total{kind="note",outcome="done"} 2',
      'tenantry_job_attempts_total{kind="note",outcome="retried"} 1',
    ])
  })
})

describe('GET /metrics', () => {
  test('is text in the format of Prometheus, in which each series stands once and below its name', async ({
    users,
    model,
  }) => {
    const { as, prometheus } = counting()
    model.says('Hello')
    await as(users.operatorA).post('/api/v1/chat', { message: 'Hello?' })

    const { status, headers, body } = await prometheus.get('/metrics')

    const text: string = body
    const families = text.trimEnd().split('\n\n')
    const misfits = families.filter((family) => {
      const [help = '', type = '', ...samples] = family.split('\n')
      const [, name] = /^# HELP ([a-z_]+) .+$/.exec(help) ?? []
      const sample = new RegExp(
        `^${name}(_bucket|_sum|_count)?(\\{[a-z_]+="[^"\\\\]*"(,[a-z_]+="[^"\\\\]*")*\\})? -?[\\d.e+-]+$`,
      )
      return (
        !new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`).test(type) ||
        !samples.every((line) => sample.test(line))
      )
    })
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    const names = series.map((line) => line.slice(0, line.lastIndexOf(' ')))
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'cache-control': 'no-store',
    })
    expect(misfits).toEqual([])
    expect(new Set(names).size).toBe(names.length)
    expect(text.endsWith('\n')).toBe(true)
    expect(series).toContainEqual(`tenantry_build_info{version="0.0.0-test",bun="${Bun.version}"} 1`)
  })

  test('says that the database does not answer, and all that is known without it', async () => {
    const metrics = newMetrics({ backlog: () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.5')) })
    const { scrape } = counting({ metrics })

    const text = await scrape()

    expect(linesOf(text, 'tenantry_database_up', 'tenantry_jobs')).toEqual(['tenantry_database_up 0'])
    expect(linesOf(text, 'tenantry_request_records_dropped_total')).toEqual([
      'tenantry_request_records_dropped_total 0',
    ])
    expect(linesOf(await counting().scrape(), 'tenantry_database_up')).toEqual(['tenantry_database_up 1'])
  })

  test('says what is measured of the event loop, of lost records and of the database', async () => {
    const metrics = newMetrics({
      dropped: () => 7,
      delays: () => ({ p50: 0.001, p99: 0.25, longest: 0.5 }),
      databaseLoad: () => ({ pool: { size: 10, inFlight: 3 }, files: { database: 8192, wal: 4096 } }),
    })
    const { scrape } = counting({ metrics })

    const text = await scrape()

    const measured = ['tenantry_event_loop', 'tenantry_request_records', 'tenantry_database_']
    expect(linesOf(text, ...measured).sort()).toEqual([
      'tenantry_database_connections_max 10',
      'tenantry_database_file_bytes{file="database"} 8192',
      'tenantry_database_file_bytes{file="wal"} 4096',
      'tenantry_database_up 1',
      'tenantry_database_work_in_flight 3',
      'tenantry_event_loop_delay_seconds{quantile="0.5"} 0.001',
      'tenantry_event_loop_delay_seconds{quantile="0.99"} 0.25',
      'tenantry_event_loop_delay_seconds{quantile="1"} 0.5',
      'tenantry_request_records_dropped_total 7',
    ])
  })

  test('has nothing of tenants and users in it', async ({ tenantA, users, model }) => {
    const { as, scrape } = counting()
    const [admin, canary] = [as(users.adminA), 'canary-5e1f']
    model.says(`${canary}-reply`)
    const { body: created } = await admin.post('/api/v1/conversations', { title: `${canary}-title` })
    const asked = { message: `${canary}-message`, conversation_id: created.id, model: `${canary}-model` }
    await admin.post('/api/v1/chat', asked, { headers: { 'idempotency-key': `${canary}-key` } })
    await admin.get(`/api/v1/conversations?q=${canary}`)
    await admin.get(`/${canary}/${tenantA.id}`)
    await admin.get(`/api/v1/plugins/${canary}`)
    await plantDeadJob(tenantA.id, { kind: `${canary}-kind`, state: 'queued' })

    const text = await scrape()

    const owners = JSON.stringify(await admin.get(`/api/v1/conversations/${created.id}/messages`))
    const words = [canary, tenantA.id, tenantA.slug, users.adminA.id, created.id]
    expect(words.filter((word) => text.includes(word))).toEqual([])
    expect(owners).toContain(`${canary}-message`)
    expect(requestCounts(text)).toHaveLength(5)
  })

  test('has no secrets in it', async ({ users }) => {
    const { as, scrape } = counting()
    const token = handmade(claimsOf(users.adminA))
    await as(users.adminA).put('/api/v1/plugins/test_courier/config', { url: 'http://x', token: 'canary-secret' })

    const text = await scrape()

    expect([metricsToken, token, 'canary-secret'].filter((secret) => text.includes(secret))).toEqual([])
    expect(requestCounts(text)).toHaveLength(1)
  })

  const refused: [string, (world: Fixtures) => Record<string, string>, string][] = [
    ['nobody in particular', () => ({}), 'Bearer'],
    ['another scheme', () => ({ authorization: `Basic ${metricsToken}` }), 'Bearer'],
    ['another token', () => bearer('b3BlbnMgbm90aGluZw').headers, 'Bearer error="invalid_token"'],
    ['a part of the token', () => bearer(metricsToken.slice(0, -1)).headers, 'Bearer error="invalid_token"'],
    ['an admin', ({ users }) => bearer(handmade(claimsOf(users.adminA))).headers, 'Bearer error="invalid_token"'],
    ['who says to be this machine', () => ({ 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1' }), 'Bearer'],
  ]
  test.each(refused)('is not for %s', async (_, headersOf, challenge, world) => {
    const { nobody, prometheus } = counting()

    const response = await nobody.get('/metrics', { headers: headersOf(world) })

    expect(response).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': challenge, 'content-type': 'application/problem+json' },
      body: { code: 'unauthenticated' },
    })
    expect(await prometheus.get('/metrics')).toMatchObject({ status: 200 })
  })

  test('is for nobody whose address is not known, where there is no token', async () => {
    const { nobody, prometheus } = counting({ metricsToken: undefined })

    const responses = [await nobody.get('/metrics'), await prometheus.get('/metrics')]

    expect(responses).toMatchObject([{ status: 401 }, { status: 401 }])
  })
})
