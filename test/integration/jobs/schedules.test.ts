import { Type } from '@sinclair/typebox'
import { asc, eq } from 'drizzle-orm'
import { job_schedules, jobs, tenants } from '../../../src/database/tables'
import { newId } from '../../../src/ids'
import type { JobKind } from '../../../src/jobs/job'
import { everyTenant, jobKinds } from '../../../src/jobs/kinds'
import { leaseTable } from '../../../src/jobs/leases'
import { enqueue } from '../../../src/jobs/queue'
import { queueDueSchedules, removeSchedule, setSchedule } from '../../../src/jobs/schedules'
import { shape } from '../../../src/schema'
import { createTenant } from '../../../src/tenants/store'
import { database, deps, describe, expect, startsAt, test } from '../../kit'
import { plantDeadJob } from '../dead-job'
import { after, all, note, working } from './working'

const at = (time: string) => new Date(`${time}Z`)
const daily = { name: 'export', kind: 'report', payload: { format: 'csv' }, cron: '0 0 * * *' }

/** A kind that says for which time and tenant it ran. */
const reporting = () => {
  const ran: string[] = []
  const report: JobKind = {
    name: 'report',
    payload: shape({ at: Type.String(), format: Type.Optional(Type.String()) }),
    mostAttempts: 1,
    timeoutMs: 1000,
    run: async (payload, { tenant_id }) => void ran.push(`${Object(payload).at} ${tenant_id}`),
  }
  return { ran, ...working([report]) }
}

const schedules = () =>
  database
    .select({ tenant_id: job_schedules.tenant_id, cron: job_schedules.cron, next_at: job_schedules.next_at })
    .from(job_schedules)
    .orderBy(asc(job_schedules.tenant_id))

// The tests begin at 2026-03-02T09:00 UTC.
// Serial: they are about schedules of the same names.
describe.serial('A schedule', () => {
  test('has its job queued at its time, for its tenant, with its payload and the time', async ({ tenantA, clock }) => {
    const { jobDeps } = working([])
    await setSchedule(jobDeps, tenantA.id, daily)

    clock.advance({ hours: 14, minutes: 59, seconds: 59, ms: 999 })
    await queueDueSchedules(jobDeps)
    const early = await all()
    clock.advance({ ms: 1 })
    await queueDueSchedules(jobDeps)

    expect(early).toEqual([])
    expect(await database.select().from(jobs)).toMatchObject([
      {
        tenant_id: tenantA.id,
        kind: 'report',
        state: 'queued',
        payload: { format: 'csv', at: '2026-03-03T00:00:00.000Z' },
        unique_key: 'export@2026-03-03T00:00:00.000Z',
        due_at: at('2026-03-03T00:00'),
      },
    ])
    expect(await schedules()).toMatchObject([{ next_at: at('2026-03-04T00:00') }])
  })

  test.each([
    ['that is due', {}],
    ['that a wrong clock wrote', { next_at: at('2030-01-01T00:00'), updated_at: at('2030-01-01T00:00') }],
  ])('%s and is no cron expression stops no other, and is put off for a day', async (_, ahead, { tenantA, clock }) => {
    const { ran, jobDeps, worker } = reporting()
    await setSchedule(jobDeps, tenantA.id, daily)
    const broken = { ...daily, name: 'broken', cron: 'whenever', next_at: clock.now(), updated_at: clock.now() }
    await database.insert(job_schedules).values({ ...broken, tenant_id: tenantA.id, ...ahead })
    clock.advance({ hours: 15 })

    await worker.bringBack()
    await worker.runDue()

    expect(ran).toEqual([`2026-03-03T00:00:00.000Z ${tenantA.id}`])
    expect(await database.select().from(job_schedules).where(eq(job_schedules.name, 'broken'))).toMatchObject([
      { cron: 'whenever', next_at: at('2026-03-04T00:00') },
    ])
  })

  test('is worked on by whoever looks for due jobs, each time once', async ({ tenantA, clock }) => {
    const { ran, jobDeps, worker } = reporting()
    await setSchedule(jobDeps, tenantA.id, daily)

    for (let hour = 0; hour < 48; hour++) {
      clock.advance({ hours: 1 })
      await worker.runDue()
    }

    expect(ran).toEqual([`2026-03-03T00:00:00.000Z ${tenantA.id}`, `2026-03-04T00:00:00.000Z ${tenantA.id}`])
  })

  test('that was missed for days runs once, for the last time that it missed', async ({ tenantA, clock }) => {
    const { ran, jobDeps, worker } = reporting()
    await setSchedule(jobDeps, tenantA.id, daily)

    clock.advance({ days: 10 })
    await worker.runDue()
    await worker.runDue()

    expect(ran).toEqual([`2026-03-12T00:00:00.000Z ${tenantA.id}`])
    expect(await schedules()).toMatchObject([{ next_at: at('2026-03-13T00:00') }])
  })

  test('does not run twice when the clock is set back', async ({ tenantA, clock }) => {
    const { ran, jobDeps, worker } = reporting()
    await setSchedule(jobDeps, tenantA.id, daily)
    clock.advance({ hours: 15 })
    await worker.runDue()

    clock.advance({ hours: -2 })
    await setSchedule(jobDeps, tenantA.id, daily) // reckons by the wrong clock that midnight is still to come
    await worker.runDue()
    clock.advance({ hours: 2 })
    await worker.runDue()

    expect(ran).toEqual([`2026-03-03T00:00:00.000Z ${tenantA.id}`])
    expect(await schedules()).toMatchObject([{ next_at: at('2026-03-04T00:00') }])
  })

  test('set by a clock that was a year ahead comes back when it is set again', async ({ tenantA, clock }) => {
    const { jobDeps } = working([])
    clock.advance({ days: 365 })
    await setSchedule(jobDeps, tenantA.id, daily)
    clock.advance({ days: -365 })

    await setSchedule(jobDeps, tenantA.id, daily)

    expect(await schedules()).toMatchObject([{ next_at: at('2026-03-03T00:00') }])
  })

  test('set by a clock that was a year ahead comes back as it is, where another tenant has one of the same name', async ({
    tenantA,
    tenantB,
    clock,
  }) => {
    const { jobDeps, worker } = working([])
    clock.advance({ days: 365 })
    await setSchedule(jobDeps, tenantA.id, daily)
    await setSchedule(jobDeps, tenantB.id, { ...daily, cron: '30 12 * * *' })
    clock.advance({ days: -365 })

    await worker.bringBack()

    expect(await schedules()).toMatchObject([
      { tenant_id: tenantA.id, next_at: at('2026-03-03T00:00') },
      { tenant_id: tenantB.id, next_at: at('2026-03-02T12:30') },
    ])
  })

  test('set by a clock that was a year ahead comes back by itself, once', async ({ tenantA, clock }) => {
    const { ran, jobDeps, worker } = reporting()
    clock.advance({ days: 365 })
    await setSchedule(jobDeps, tenantA.id, daily)
    clock.advance({ days: -365 })

    await worker.bringBack()
    const broughtBack = await schedules()
    clock.advance({ hours: 15 })
    await worker.bringBack()
    await worker.runDue()

    expect(broughtBack).toMatchObject([{ next_at: at('2026-03-03T00:00') }])
    expect(ran).toEqual([`2026-03-03T00:00:00.000Z ${tenantA.id}`])
  })

  test('set by another process whose clock is a minute ahead stays as it is', async ({ tenantA, clock }) => {
    const { jobDeps, worker } = working([])
    clock.advance({ hours: 15 })
    await setSchedule(jobDeps, tenantA.id, daily)
    clock.advance({ seconds: -60 })

    await worker.bringBack()

    expect(await schedules()).toMatchObject([{ next_at: at('2026-03-04T00:00') }])
  })

  test('keeps what is due of it when it is set again as it is, and not when its time changes', async ({
    tenantA,
    clock,
  }) => {
    const { jobDeps } = working([])
    await setSchedule(jobDeps, tenantA.id, daily)
    clock.advance({ hours: 16 })

    await setSchedule(jobDeps, tenantA.id, daily)
    const same = await schedules()
    await setSchedule(jobDeps, tenantA.id, { ...daily, cron: '0 6 * * *' })

    expect(same).toMatchObject([{ cron: '0 0 * * *', next_at: at('2026-03-03T00:00') }])
    expect(await schedules()).toMatchObject([{ cron: '0 6 * * *', next_at: at('2026-03-03T06:00') }])
  })

  test('is done beside another of the same tenant and time', async ({ tenantA, clock }) => {
    const { ran, jobDeps, worker } = reporting()
    await setSchedule(jobDeps, tenantA.id, daily)
    await setSchedule(jobDeps, tenantA.id, { ...daily, name: 'another' })

    clock.advance({ days: 1 })
    await worker.runDue()

    expect(ran).toEqual(Array(2).fill(`2026-03-03T00:00:00.000Z ${tenantA.id}`))
  })

  test('ends when it is removed, and only for its tenant', async ({ tenantA, tenantB, clock }) => {
    const { ran, jobDeps, worker } = reporting()
    await setSchedule(jobDeps, tenantA.id, daily)
    await setSchedule(jobDeps, tenantA.id, { ...daily, name: 'another', cron: '1 0 * * *' })
    await setSchedule(jobDeps, tenantB.id, daily)

    await removeSchedule(jobDeps, tenantA.id, daily.name)
    clock.advance({ days: 1 })
    await worker.runDue()

    expect(ran.sort()).toEqual([`2026-03-03T00:00:00.000Z ${tenantB.id}`, `2026-03-03T00:01:00.000Z ${tenantA.id}`])
  })

  test('rests while its tenant is out of service', async ({ tenantA, clock }) => {
    const { ran, jobDeps, worker } = reporting()
    await setSchedule(jobDeps, tenantA.id, daily)
    const serve = (is_active: boolean) => database.update(tenants).set({ is_active }).where(eq(tenants.id, tenantA.id))

    await serve(false)
    clock.advance({ days: 2 })
    await worker.runDue()
    const resting = [...ran]
    await serve(true)
    await worker.runDue()

    expect([resting, ran]).toEqual([[], [`2026-03-04T00:00:00.000Z ${tenantA.id}`]])
  })

  test('is refused where its time is none', async ({ tenantA }) => {
    const { jobDeps } = working([])

    const refused = setSchedule(jobDeps, tenantA.id, { ...daily, cron: '* * * * * *' })

    await expect(refused).rejects.toThrow('This is no cron expression: * * * * * *')
    expect(await schedules()).toEqual([])
  })
})

describe('Several processes that look at the same moment', { isolation: 'fork' }, (test) => {
  test('queue what is due once', async ({ tenantA, tenantB, clock }) => {
    const { jobDeps } = working([])
    for (const { id } of [tenantA, tenantB]) await setSchedule(jobDeps, id, daily)
    clock.advance({ days: 1 })

    await Promise.all(Array.from({ length: 8 }, () => queueDueSchedules(jobDeps)))

    const queued = await database.select().from(jobs)
    expect(queued.map(({ tenant_id }) => tenant_id).sort()).toEqual([tenantA.id, tenantB.id].sort())
    expect(await schedules()).toMatchObject([{ next_at: at('2026-03-04T00:00') }, { next_at: at('2026-03-04T00:00') }])
  })
})

describe.serial('What every tenant has', () => {
  const nightly = { name: 'nightly', kind: 'report', cron: '17 3 * * *' }

  test('is given to active tenants once, and to those that come later', async ({ tenantA, tenantB }) => {
    const { jobDeps, worker } = working([], { everyTenant: [nightly] })
    await worker.ensureSchedules()
    const [, inactive] = [
      await createTenant(jobDeps, { slug: 'late', name: 'Late' }),
      await createTenant(jobDeps, { slug: 'off', name: 'Off' }),
    ]
    await database.update(tenants).set({ is_active: false }).where(eq(tenants.id, inactive))

    const before = await schedules()
    await worker.ensureSchedules()
    await worker.ensureSchedules()

    const found = (rows: typeof before) => rows.map(({ tenant_id }) => tenant_id)
    expect(found(before)).toEqual([tenantA.id, tenantB.id].sort())
    expect(found(await schedules())).toHaveLength(3)
    expect(found(await schedules())).not.toContain(inactive)
  })

  test('costs one statement each where all is as it is declared', async ({ ledger }) => {
    const { worker } = working([], { everyTenant: [nightly, { name: 'hourly', kind: 'other', cron: '7 * * * *' }] })
    await worker.ensureSchedules()
    const before = ledger.statements.length

    await worker.ensureSchedules()

    expect(ledger.statements).toHaveLength(before + 2)
  })

  test('changes when it is declared otherwise', async () => {
    await working([], { everyTenant: [nightly] }).worker.ensureSchedules()

    await working([], { everyTenant: [{ ...nightly, cron: '0 4 * * *' }] }).worker.ensureSchedules()

    const row = { cron: '0 4 * * *', next_at: at('2026-03-03T04:00') }
    expect(await schedules()).toMatchObject([row, row])
  })
})

describe.serial('The pruning', () => {
  const setUp = () => working(jobKinds(deps), { everyTenant: everyTenant.filter(({ name }) => name === 'jobs.prune') })
  const ended = (state: 'done' | 'dead', daysAgo: number) => ({
    state,
    updated_at: new Date(startsAt.getTime() - daysAgo * 24 * 3600 * 1000),
  })

  test('removes what was done 7 days ago and what died 30 days ago, of every tenant', async ({
    tenantA,
    tenantB,
    clock,
  }) => {
    const { worker } = setUp()
    await worker.ensureSchedules()
    const kept = [
      await plantDeadJob(tenantA.id, ended('done', 6)),
      await plantDeadJob(tenantA.id, ended('dead', 29)),
      await plantDeadJob(tenantB.id, ended('dead', 8)),
    ]
    await plantDeadJob(tenantA.id, ended('done', 7))
    await plantDeadJob(tenantB.id, ended('dead', 30))

    clock.advance({ hours: 18, minutes: 17 })
    await worker.runDue()

    const left = (await all()).filter(({ kind }) => kind !== 'jobs.prune')
    expect(left.map(({ id }) => id)).toEqual(kept.sort())
    expect((await all()).filter(({ kind }) => kind === 'jobs.prune')).toMatchObject([
      { state: 'done' },
      { state: 'done' },
    ])
  })

  test('removes many in pieces', async ({ tenantA, clock, ledger }) => {
    const { worker } = setUp()
    await worker.ensureSchedules()
    const old = new Date(startsAt.getTime() - 30 * 24 * 3600 * 1000)
    const row = { tenant_id: tenantA.id, kind: 'note', payload: {}, state: 'done' as const }
    const stamps = { due_at: null, created_at: old, updated_at: old }
    const rows = Array.from({ length: 1200 }, () => ({ ...row, ...stamps, id: Bun.randomUUIDv7() }))
    await database.insert(jobs).values(rows)

    clock.advance({ hours: 18, minutes: 17 })
    await worker.runDue()

    expect((await all()).filter(({ kind }) => kind === 'note')).toEqual([])
    const deletions = ledger.statements.filter(
      ({ text, params }) => text.startsWith('delete') && params.includes(tenantA.id) && params.includes('done'),
    )
    expect(deletions.map(({ rows }) => rows?.length)).toEqual([500, 500, 200])
  })

  test('gives up what no process knew for a week, and nothing else that waits', async ({ tenantA, clock }) => {
    const { worker, jobDeps } = setUp()
    await worker.ensureSchedules()
    await enqueue(jobDeps, tenantA.id, note('of a plugin that is gone', { kind: 'gone' }))
    clock.advance({ days: 4 })
    await enqueue(jobDeps, tenantA.id, note('of a newer program', { kind: 'newer' }))

    clock.advance({ days: 4 })
    await worker.runDue()

    expect((await all()).filter(({ kind }) => kind !== 'jobs.prune')).toMatchObject([
      { kind: 'gone', state: 'dead', last_error: 'No process knew this kind of work for a week.' },
      { kind: 'newer', state: 'queued', last_error: null },
    ])
  })

  test('is for one tenant, however much another has', async ({ tenantA, tenantB, clock }) => {
    const old = new Date(startsAt.getTime() - 40 * 24 * 3600 * 1000)
    const row = { payload: {}, created_at: old, updated_at: old }
    const done = { ...row, kind: 'note', state: 'done' as const, due_at: null }
    const waiting = { ...row, kind: 'gone', state: 'queued' as const, due_at: old }
    const of = (tenant_id: string, each: typeof done | typeof waiting, count: number) =>
      Array.from({ length: count }, () => ({ ...each, tenant_id, id: Bun.randomUUIDv7() }))
    await database.insert(jobs).values([...of(tenantA.id, done, 600), ...of(tenantA.id, waiting, 1)])
    await database.insert(jobs).values([...of(tenantB.id, done, 1), ...of(tenantB.id, waiting, 1)])
    const prune = jobKinds(deps).find(({ name }) => name === 'jobs.prune')
    const context = { tenant_id: tenantB.id, id: newId(clock), attempt: 1, signal: new AbortController().signal }

    await prune?.run({ at: '' }, context)

    const rows = await database.select({ tenant_id: jobs.tenant_id, state: jobs.state }).from(jobs)
    const states = (tenant_id: string) => rows.filter((row) => row.tenant_id === tenant_id).map(({ state }) => state)
    expect(states(tenantB.id)).toEqual(['dead'])
    expect(states(tenantA.id).sort()).toEqual([...Array(600).fill('done'), 'queued'])
  })

  test('gives up what nobody knows although somebody had begun it, and nothing that only waits for a worker', async ({
    tenantA,
    clock,
  }) => {
    const { jobDeps } = setUp()
    await enqueue(jobDeps, tenantA.id, note('left behind', { kind: 'gone' }))
    await leaseTable(database, ['gone']).claim(startsAt, after(60, startsAt))
    await enqueue(jobDeps, tenantA.id, note('known', { kind: 'analytics.summary' }))
    const prune = jobKinds(deps).find(({ name }) => name === 'jobs.prune')
    const context = { tenant_id: tenantA.id, id: newId(clock), attempt: 1, signal: new AbortController().signal }

    clock.advance({ days: 8 })
    await prune?.run({ at: '' }, context)

    expect(await all()).toMatchObject([
      { kind: 'gone', state: 'dead', lease_id: null },
      { kind: 'analytics.summary', state: 'queued' },
    ])
  })
})
