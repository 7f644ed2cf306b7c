import { eq } from 'drizzle-orm'
import { type Observation, unmatched } from '../../src/analytics/hook'
import { Recorder, recorderLimits } from '../../src/analytics/recorder'
import { pruneRequests } from '../../src/analytics/retention'
import { type RequestRecord, storeRecords } from '../../src/analytics/rollup'
import { daySummary, usageReader } from '../../src/analytics/usage'
import { type Difference, inWords, repairRollups, verifyRollups } from '../../src/analytics/verify'
import { buildApp } from '../../src/app'
import { dialect } from '../../src/database/dialect'
import {
  message_days,
  request_records,
  route_days,
  tenant_days,
  tenant_settings,
  tenants,
  usage_days,
  usage_records,
  user_days,
} from '../../src/database/tables'
import { failureCode } from '../../src/errors'
import { newId } from '../../src/ids'
import { client, outside } from '../../src/testing'
import { database, deps, describe, expect, type Fixtures, test } from '../kit'
import { strangerTo } from '../speaking'

const summary = '/api/v1/analytics/summary'
const at = new Date('2026-03-02T08:00:00.000Z')

const record = ({ users }: Pick<Fixtures, 'users'>, change: Partial<RequestRecord> = {}): RequestRecord => {
  const created_at = change.created_at ?? at
  return {
    tenant_id: users.viewerA.tenant_id,
    user_id: users.viewerA.id,
    id: newId({ now: () => created_at }),
    method: 'GET',
    route: '/api/v1/me',
    status: 200,
    duration_us: 1000,
    created_at,
    ...change,
  }
}

const seen = ({ users }: Pick<Fixtures, 'users'>): Observation => ({
  request_id: 'request-1',
  caller: { tenant_id: users.viewerA.tenant_id, user_id: users.viewerA.id },
  method: 'GET',
  route: '/api/v1/me',
  status: 200,
  duration_us: 1000,
  at,
})

describe('the hook', () => {
  test('sees what no caller and no route was found for, by its pattern and status', async ({ adminA }) => {
    const heard: Observation[] = []
    const nobody = strangerTo({ observers: [(each) => void heard.push(each)] })
    const id = '01890000-0000-7000-8000-000000000000'

    await nobody.get('/health')
    await nobody.get('/no/such/place')
    await nobody.get(`/api/v1/conversations/${id}`)
    await nobody.put('/api/v1/conversations', {})
    await nobody.send('PROPFIND', '/api/v1/me')
    await adminA.get('/api/v1/me') // of another app, and not heard here

    expect(heard.map(({ caller, method, route, status }) => [caller, method, route, status])).toEqual([
      [undefined, 'GET', '/health', 200],
      [undefined, 'GET', unmatched, 404],
      [undefined, 'GET', '/api/v1/conversations/:id', 401],
      [undefined, 'PUT', unmatched, 405],
      [undefined, 'OTHER', unmatched, 405],
    ])
  })

  test('sees what fails here', async ({ takeErrors }) => {
    const heard: Observation[] = []
    const verifyToken = () => Promise.reject(new Error('The key is not a key.'))
    const app = buildApp({ ...deps, verifyToken, observers: [(each) => void heard.push(each)] })
    const caller = client(
      async (request) => await app.handle(request),
      () => ({ authorization: 'Bearer x.y.z' }),
    )

    const response = await caller.get('/api/v1/me')

    expect(response.status).toBe(500)
    expect(takeErrors()).toHaveLength(1)
    expect(heard).toMatchObject([
      { request_id: response.headers['x-request-id'], caller: undefined, route: '/api/v1/me', status: 500 },
    ])
  })

  test('sees what is refused to a known caller', async ({ adminA, viewerA, users, settle }) => {
    await adminA.post('/api/v1/conversations', { title: 'x'.repeat(1024 * 1024) })
    await adminA.post('/api/v1/conversations', '{')
    await adminA.post('/api/v1/conversations', { colour: 'red' })
    await viewerA.post('/api/v1/conversations', {})
    await settle()

    const kept = await database
      .select({ user_id: request_records.user_id, route: request_records.route, status: request_records.status })
      .from(request_records)
      .orderBy(request_records.id)

    const route = '/api/v1/conversations'
    expect(kept).toEqual([
      { user_id: users.adminA.id, route, status: 413 },
      { user_id: users.adminA.id, route, status: 400 },
      { user_id: users.adminA.id, route, status: 422 },
      { user_id: users.viewerA.id, route, status: 403 },
    ])
  })

  test('keeps nothing of strangers', async ({ anonymous, settle }) => {
    await anonymous.get('/api/v1/me')
    await anonymous.get('/health')
    await settle()

    expect(await database.$count(request_records)).toBe(0)
  })
})

describe('the recorder', () => {
  test('writes everything in one transaction for a tenant, and every tenant in its own', async ({
    adminA,
    viewerA,
    adminB,
    settle,
    ledger,
  }) => {
    await adminA.get('/api/v1/me')
    await viewerA.get('/api/v1/me')
    await adminB.get('/api/v1/me')
    const before = ledger.own.length
    await settle()

    const written = ledger.own.slice(before)
    expect(written.every(({ depth }) => depth === 1)).toBe(true)
    expect(written.filter(({ text }) => text.startsWith('insert into "tenant_days"'))).toHaveLength(2)
    expect(await adminB.get(summary)).toMatchObject({ body: { total_requests: 1 } })
    expect(await viewerA.get(summary)).toMatchObject({ body: { total_requests: 2 } })
  })

  test('drops and counts what there is no room for, and says so once', async ({ users, viewerA }) => {
    const warnings: string[] = []
    const reporter = { ...deps.reporter, warn: (message: string) => void warnings.push(message) }
    const recorder = new Recorder(database, reporter, { ...recorderLimits, everyMs: 0, most: 3 })

    for (let n = 0; n < 5; n++) recorder.record(seen({ users }))
    await recorder.flush()
    recorder.record(seen({ users }))
    await recorder.flush()

    expect(recorder.dropped).toBe(2)
    expect(warnings).toEqual(['Request records are lost: they came faster than they could be written.'])
    expect(await viewerA.get(summary)).toMatchObject({ body: { total_requests: 4 } })
  })

  test('tries again what was refused, and drops it when it is refused too often', async ({
    users,
    tenantA,
    viewerA,
  }) => {
    const warnings: string[] = []
    const reporter = { ...deps.reporter, warn: (message: string) => void warnings.push(message) }
    const recorder = new Recorder(database, reporter, { ...recorderLimits, everyMs: 0, refusals: 2 })
    const nobodys = { tenant_id: '01890000-0000-7000-8000-000000000000', user_id: users.viewerA.id }

    recorder.record({ ...seen({ users }), caller: nobodys })
    recorder.record(seen({ users }))
    await recorder.flush()
    const droppedAtFirst = recorder.dropped
    await recorder.flush()

    expect([droppedAtFirst, recorder.dropped]).toEqual([0, 1])
    expect(warnings).toEqual([
      expect.stringMatching(/^Request records could not be written, and are tried again: /),
      'Request records are lost: the database refused them.',
    ])
    expect(warnings.join()).not.toContain(tenantA.id)
    expect(await viewerA.get(summary)).toMatchObject({ body: { total_requests: 1 } })
  })

  test('counts a batch once that was written twice, and the rest of one that was written in part', async ({
    users,
    tenantA,
    viewerA,
  }) => {
    const records = [record({ users }), record({ users }), record({ users }, { status: 500 })]
    await storeRecords(database, tenantA.id, records.slice(0, 2))

    await storeRecords(database, tenantA.id, records, { mayBeThere: true })
    await storeRecords(database, tenantA.id, records, { mayBeThere: true })

    expect(await viewerA.get(summary)).toMatchObject({ body: { total_requests: 3, error_count: 1 } })
    expect(await verifyRollups(database, tenantA.id)).toEqual([])
  })

  test('takes no record for written because another tenant has one of its id', async ({
    users,
    tenantA,
    tenantB,
    viewerA,
  }) => {
    const own = record({ users })
    await storeRecords(database, tenantB.id, [{ ...own, tenant_id: tenantB.id, user_id: users.adminB.id }])

    await storeRecords(database, tenantA.id, [own], { mayBeThere: true })

    expect(await viewerA.get(summary)).toMatchObject({ body: { total_requests: 1 } })
    expect(await verifyRollups(database, tenantA.id)).toEqual([])
  })

  test('gives late records to their own day, also when the clock was set back', async ({ users, tenantA, viewerA }) => {
    const moments = ['2026-03-02T23:59:59.999Z', '2026-02-25T00:00:00.000Z', '2026-03-01T12:00:00.000Z']
    for (const moment of moments)
      await storeRecords(database, tenantA.id, [record({ users }, { created_at: new Date(moment) })])

    const { body } = await viewerA.get('/api/v1/analytics/daily?start_date=2026-02-24&end_date=2026-03-03')

    const counts = body.map(({ total_requests }: { total_requests: number }) => total_requests)
    expect(counts).toEqual([0, 1, 0, 0, 0, 1, 1, 0])
    expect(await verifyRollups(database, tenantA.id)).toEqual([])
  })
})

describe('tenantry analytics verify', () => {
  const use = async ({ operatorA, viewerA, model, settle }: Fixtures) => {
    model.says('Yes.', { prompt_tokens: 5, completion_tokens: 2 }).says('No.')
    await operatorA.post('/api/v1/chat', { message: 'Is it?' })
    await operatorA.post('/api/v1/chat', { message: 'Is it not?' })
    await viewerA.get('/api/v1/conversations/nothing')
    await settle()
  }

  test('finds nothing where nothing is wrong', async (world) => {
    await use(world)

    expect(await verifyRollups(database, world.tenantA.id)).toEqual([])
  })

  test('finds every rollup that is off by one, and puts it right', async (world) => {
    const { tenantA, users } = world
    await use(world)
    const before = await world.rewind(() => world.viewerA.get(summary))
    await database.update(tenant_days).set({ duration_us: 1 }).where(eq(tenant_days.tenant_id, tenantA.id))
    await database.update(user_days).set({ error_count: 7 }).where(eq(user_days.user_id, users.viewerA.id))
    await database.update(usage_days).set({ prompt_tokens: 6 }).where(eq(usage_days.tenant_id, tenantA.id))

    const found = await verifyRollups(database, tenantA.id)
    await repairRollups(database, tenantA.id)

    const latency = expect.stringMatching(/ 1 µs, latency #/)
    expect(found).toMatchObject([
      { rollup: 'tenant_days', key: '2026-03-02', kept: latency },
      { rollup: 'user_days', kept: '1 requests, 7 errors, 0 µs', counted: '1 requests, 1 errors, 0 µs' },
      { rollup: 'usage_days' },
    ])
    expect(found.map(inWords)[1]).toStartWith(`user_days 2026-03-02 ${users.viewerA.id}: kept 1 requests, 7 errors`)
    expect(await verifyRollups(database, tenantA.id)).toEqual([])
    await world.rewind(async () => expect((await world.viewerA.get(summary)).body).toEqual(before.body))
  })

  test('looks at one tenant and changes nothing of the others', async (world) => {
    const { users, tenantA, tenantB, adminB, model } = world
    await use(world)
    model.says('Yes.').says('Yes.').says('Yes.')
    for (let n = 0; n < 3; n++) await adminB.post('/api/v1/chat', { message: 'Is it?' })
    const longAgo = { created_at: new Date('2026-02-01T08:00:00.000Z') }
    await storeRecords(database, tenantB.id, [record({ users }, { ...longAgo, tenant_id: tenantB.id })])
    await adminB.patch('/api/v1/admin/tenant/settings', { retention_days: 1 })
    await pruneRequests(deps, tenantB.id)
    await world.settle()
    await database.update(message_days).set({ message_count: 3 }).where(eq(message_days.tenant_id, tenantA.id))
    await storeRecords(database, tenantA.id, [record({ users }, longAgo)])
    await database.update(tenant_days).set({ request_count: 99 })
    await database.update(route_days).set({ error_count: 99 })
    await database.update(user_days).set({ error_count: 99 })
    const rollups = [tenant_days, route_days, user_days, usage_days, message_days]
    const ofB = async () =>
      Promise.all(rollups.map((rows) => database.select().from(rows).where(eq(rows.tenant_id, tenantB.id))))
    const before = await ofB()

    const found = await verifyRollups(database, tenantA.id)
    await repairRollups(database, tenantA.id)

    const where = (differences: Difference[]) => differences.map(({ rollup, key }) => `${rollup} ${key.slice(0, 10)}`)
    expect(where(found)).toEqual([
      'tenant_days 2026-02-01', // before what the other tenant has deleted
      'tenant_days 2026-03-02',
      'route_days 2026-02-01',
      'route_days 2026-03-02',
      'route_days 2026-03-02',
      'user_days 2026-02-01',
      'user_days 2026-03-02',
      'user_days 2026-03-02',
      'message_days 2026-03-02',
    ])
    expect(found.at(-1)).toMatchObject({ rollup: 'message_days', kept: '3 messages', counted: '4 messages' })
    expect(await verifyRollups(database, tenantA.id)).toEqual([])
    expect(await ofB()).toEqual(before)
    expect(where(await verifyRollups(database, tenantB.id))).toEqual([
      'tenant_days 2026-03-02',
      'route_days 2026-03-02',
      'route_days 2026-03-02',
      'user_days 2026-03-02',
    ])
    expect(before.every((rows) => rows.length > 0)).toBe(true)
  })

  test('finds a record that no rollup knows, and a rollup that no record explains', async ({ users, tenantA }) => {
    await storeRecords(database, tenantA.id, [record({ users })])
    await database
      .insert(request_records)
      .values(record({ users }, { created_at: new Date('2026-03-01T08:00:00.000Z') }))
    await database.delete(request_records).where(eq(request_records.created_at, at))

    const found = await verifyRollups(database, tenantA.id)

    expect(found.filter(({ rollup }) => rollup === 'tenant_days')).toEqual([
      { rollup: 'tenant_days', key: '2026-03-01', kept: undefined, counted: expect.stringMatching(/^1 requests/) },
      { rollup: 'tenant_days', key: '2026-03-02', kept: expect.stringMatching(/^1 requests/), counted: undefined },
    ])
  })
})

describe('records of a tenant that is gone', () => {
  test('are refused with the day that they belong to, and none is left', async ({ users, tenantA, tenantB }) => {
    const late = [record({ users }), record({ users })]
    await storeRecords(database, tenantB.id, [record({ users }, { tenant_id: tenantB.id })])
    await database.delete(tenants).where(eq(tenants.id, tenantA.id))

    const refused = await storeRecords(database, tenantA.id, late).catch(failureCode)

    expect(refused).toBe(dialect === 'sqlite' ? 'SQLITE_CONSTRAINT_FOREIGNKEY' : '23503')
    const kept = await database.select({ tenant_id: request_records.tenant_id }).from(request_records)
    expect(kept).toEqual([{ tenant_id: tenantB.id }])
  })
})

describe('records that are older than retention_days', () => {
  const days = ['2026-02-10', '2026-02-20', '2026-02-27', '2026-02-28', '2026-03-02']

  const prunedBefore = async () => {
    const rows = await database.select().from(tenant_settings)
    return Object.fromEntries(rows.map(({ tenant_id, requests_pruned_before }) => [tenant_id, requests_pruned_before]))
  }

  test('are deleted by whole days, and the rollups stay', async ({
    users,
    tenantA,
    adminA,
    adminB,
    viewerA,
    settle,
  }) => {
    const records = days.map((day) => record({ users }, { created_at: new Date(`${day}T00:00:00.000Z`) }))
    const foreign = {
      id: records[0]?.id ?? '',
      user_id: users.adminB.id,
      tenant_id: users.adminB.tenant_id,
      created_at: new Date('2026-02-10T08:00:00.000Z'),
    }
    await storeRecords(database, tenantA.id, records)
    await storeRecords(database, foreign.tenant_id, [record({ users }, foreign)])
    await adminA.patch('/api/v1/admin/tenant/settings', { retention_days: 2 })

    const deleted = await pruneRequests(deps, tenantA.id)

    expect(deleted).toBe(3)
    const left = await database.select().from(request_records).where(eq(request_records.tenant_id, tenantA.id))
    expect(left.map(({ created_at }) => created_at.toISOString().slice(0, 10))).toEqual(['2026-02-28', '2026-03-02'])
    expect(await verifyRollups(database, tenantA.id)).toEqual([])
    expect(await prunedBefore()).toEqual({ [tenantA.id]: '2026-02-28', [foreign.tenant_id]: null })
    expect(await pruneRequests(deps, tenantA.id)).toBe(0)
    expect(await viewerA.get(`${summary}?start_date=2026-02-01`)).toMatchObject({ body: { total_requests: 5 } })
    await settle()
    expect(await adminB.get('/api/v1/analytics/export?rows=requests&format=json')).toMatchObject({
      body: [{ route: '/api/v1/me' }],
    })
  })

  test('stay where the tenant does not say how long', async ({ users, tenantA }) => {
    await storeRecords(database, tenantA.id, [record({ users }, { created_at: new Date('2020-01-01T00:00:00.000Z') })])

    expect(await pruneRequests(deps, tenantA.id)).toBe(0)
    expect(await database.$count(request_records)).toBe(1)
  })

  test('are deleted in chunks', async ({ users, tenantA, adminA, ledger }) => {
    const old = Array.from({ length: 2500 }, () =>
      record({ users }, { created_at: new Date('2026-01-01T08:00:00.000Z') }),
    )
    await database.transaction(() => storeRecords(database, tenantA.id, old))
    await adminA.patch('/api/v1/admin/tenant/settings', { retention_days: 1 })
    const before = ledger.own.length

    const deleted = await pruneRequests(deps, tenantA.id)

    expect(deleted).toBe(2500)
    const chunks = ledger.own.slice(before).filter(({ text }) => text.startsWith('delete'))
    expect(chunks).toHaveLength(3)
  })
})

describe('what plugins may know', () => {
  test('is tokens by day and model, of their tenant only', async ({ operatorA, tenantA, tenantB, model }) => {
    model
      .says('Yes.', { prompt_tokens: 5, completion_tokens: 2 })
      .says('No.', { prompt_tokens: 7, completion_tokens: 1 })
    await operatorA.post('/api/v1/chat', { message: 'Is it?' })
    await operatorA.post('/api/v1/chat', { message: 'Is it not?' })
    const range = { start_date: '2026-03-01', end_date: '2026-03-02' }

    const own = await usageReader(deps, tenantA.id).daily(range)
    const foreign = await usageReader(deps, tenantB.id).daily(range)

    expect(own).toEqual([
      { day: '2026-03-02', model: 'scripted', replies: 2, prompt_tokens: 12, completion_tokens: 3, unique_users: 1 },
    ])
    expect(foreign).toEqual([])
  })

  test('is of the days that they ask for', async ({ users, tenantA }) => {
    const { tenant_id, id: user_id } = users.operatorA
    const counts = { model: 'm', reply_count: 1, completion_tokens: 0, estimated_tokens: 0 }
    for (const n of [2, 3, 4])
      await database
        .insert(usage_days)
        .values({ ...counts, tenant_id, user_id, day: `2026-03-0${n}`, prompt_tokens: n })

    const days = await usageReader(deps, tenantA.id).daily({ start_date: '2026-03-03', end_date: '2026-03-03' })

    expect(days).toMatchObject([{ day: '2026-03-03', prompt_tokens: 3 }])
    expect(days).toHaveLength(1)
  })

  test('is the summary of a day', async ({ operatorA, tenantA, model, settle }) => {
    model.says('Yes.', { prompt_tokens: 5, completion_tokens: 2 })
    await operatorA.post('/api/v1/chat', { message: 'Is it?' })
    await operatorA.get('/api/v1/conversations/nothing')
    await settle()

    const data = await daySummary({ database, clock: outside.clock }, tenantA.id, '2026-03-02')

    expect(data).toEqual({
      day: '2026-03-02',
      total_requests: 2,
      error_count: 1,
      total_tokens: 7,
      total_messages: 2,
      unique_users: 1,
    })
  })

  test('does not change with a conversation that is deleted', async ({ adminA, tenantA, model }) => {
    model.says('Yes.', { prompt_tokens: 5, completion_tokens: 2 })
    const { body: reply } = await adminA.post('/api/v1/chat', { message: 'Is it?' })
    await adminA.delete(`/api/v1/conversations/${reply.conversation_id}`)

    const range = { start_date: '2026-03-02', end_date: '2026-03-02' }
    expect(await usageReader(deps, tenantA.id).daily(range)).toMatchObject([{ replies: 1 }])
    expect(await database.$count(usage_records)).toBe(1)
    expect(await verifyRollups(database, tenantA.id)).toEqual([])
  })
})
