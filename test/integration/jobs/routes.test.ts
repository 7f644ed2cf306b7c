import { JobBell } from '../../../src/jobs/job'
import { jobStore } from '../../../src/jobs/store'
import { deps, describe, expect, startsAt, test } from '../../kit'
import { plantDeadJob } from '../dead-job'
import { all, stored } from './working'

const path = '/api/v1/admin/jobs'
const nobody = '01890000-0000-7000-8000-000000000000'

describe('GET /api/v1/admin/jobs', () => {
  test('lists the jobs of the tenant, newest first, without what they are about', async ({
    adminA,
    adminB,
    tenantA,
    tenantB,
  }) => {
    const first = await plantDeadJob(tenantA.id)
    const second = await plantDeadJob(tenantA.id, { state: 'done', last_error: null, kind: 'other', attempts: 1 })
    const foreign = await plantDeadJob(tenantB.id)

    const response = await adminA.get(path)

    const times = {
      due_at: null,
      created_at: startsAt.toISOString(),
      updated_at: startsAt.toISOString(),
    }
    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': '2' } })
    expect(response.body).toEqual([
      { id: second, kind: 'other', state: 'done', attempts: 1, last_error: null, ...times },
      { id: first, kind: 'a kind of no worker', state: 'dead', attempts: 3, last_error: 'It was no use.', ...times },
    ])
    expect((await adminB.get(path)).body).toMatchObject([{ id: foreign }])
  })

  const filters: [string, number[]][] = [
    ['', [3, 2, 1, 0]],
    ['?state=dead', [2, 0]],
    ['?state=queued', [3]],
    ['?state=running', []],
    ['?kind=mail', [1, 0]],
    ['?kind=mail&state=dead', [0]],
    ['?kind=%25', []],
  ]
  test.each(filters)('finds by %p the jobs %p', async (query, expected, { adminA, tenantA }) => {
    const ids = [
      await plantDeadJob(tenantA.id, { kind: 'mail' }),
      await plantDeadJob(tenantA.id, { kind: 'mail', state: 'done' }),
      await plantDeadJob(tenantA.id, { kind: 'hook' }),
      await plantDeadJob(tenantA.id, { kind: 'hook', state: 'queued' }),
    ]

    const response = await adminA.get(path + query)

    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': String(expected.length) } })
    expect(response.body.map(({ id }: { id: string }) => ids.indexOf(id))).toEqual(expected)
  })

  test('goes from page to page, and keeps the filter', async ({ adminA, tenantA }) => {
    const ids = []
    for (let n = 0; n < 3; n++) ids.push(await plantDeadJob(tenantA.id))
    await plantDeadJob(tenantA.id, { state: 'done' })

    const first = await adminA.get(`${path}?state=dead&limit=2`)
    const [, next = ''] = /^<(.+)>; rel="next"$/.exec(first.headers.link ?? '') ?? []
    const second = await adminA.get(next)

    expect([...first.body, ...second.body].map(({ id }) => id)).toEqual(ids.reverse())
    expect(second).toMatchObject({ status: 200, headers: { 'x-total-count': '3' } })
    expect(second.headers).not.toHaveProperty('link')
  })

  const wrong: [string, string][] = [
    ['state=DEAD', '/state'],
    ['state=', '/state'],
    ['kind=', '/kind'],
    [`kind=${'x'.repeat(101)}`, '/kind'],
    ['tenant_id=any', '/tenant_id'],
    ['cursor=abc', '/cursor'],
  ]
  test.each(wrong)('refuses ?%s', async (query, field, { adminA }) => {
    const response = await adminA.get(`${path}?${query}`)

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'query', path: field }] } })
    expect(await adminA.get(`${path}?state=dead&kind=mail`)).toMatchObject({ status: 200 })
  })
})

describe('POST /api/v1/admin/jobs/:id/retry', () => {
  test('queues a dead job with all its attempts, due now', async ({ adminA, tenantA, clock }) => {
    const id = await plantDeadJob(tenantA.id)
    clock.advance({ hours: 1 })

    const response = await adminA.post(`${path}/${id}/retry`)

    const now = '2026-03-02T10:00:00.000Z'
    expect(response).toMatchObject({
      status: 200,
      body: { id, state: 'queued', attempts: 0, due_at: now, updated_at: now, created_at: startsAt.toISOString() },
    })
    expect((await adminA.get(path)).body).toEqual([response.body])
  })

  test('has the job begun at once', async ({ adminA, tenantA, settle }) => {
    const payload = { at: '2026-03-02T00:00:00.000Z' }
    const id = await plantDeadJob(tenantA.id, { kind: 'jobs.prune', payload })

    await adminA.post(`${path}/${id}/retry`)
    await settle()

    expect(await stored(id)).toMatchObject({ state: 'done', attempts: 1, last_error: null })
  })

  test('rings after the commit only', async ({ tenantA, users }) => {
    const id = await plantDeadJob(tenantA.id)
    const jobBell = new JobBell()
    const heard: string[] = []
    jobBell.onRing(() => void heard.push('bell'))
    const principal = { tenant_id: tenantA.id, user_id: users.adminA.id, role: 'admin' as const }

    await deps.database.transaction(async () => {
      await jobStore({ ...deps, jobBell }, principal).retry(id)
      heard.push('written')
    })

    expect(heard).toEqual(['written', 'bell'])
  })

  test.each(['queued', 'running', 'done'] as const)('refuses a job that is %s', async (state, { adminA, tenantA }) => {
    const id = await plantDeadJob(tenantA.id, { state })
    const dead = await plantDeadJob(tenantA.id)

    const response = await adminA.post(`${path}/${id}/retry`)

    expect(response).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect(await stored(id)).toMatchObject({ state, attempts: 3 })
    expect(await adminA.post(`${path}/${dead}/retry`)).toMatchObject({ status: 200 })
  })

  test("hides another tenant's job as if it did not exist", async ({ adminA, adminB, tenantA }) => {
    const id = await plantDeadJob(tenantA.id)
    const retried = async (of: string) => {
      const { status, body } = await adminB.post(`${path}/${of}/retry`, undefined, {
        headers: { 'x-request-id': 'same' },
      })
      return { status, body: { ...body, instance: '' } }
    }

    const foreign = await retried(id)
    const unknown = await retried(nobody)
    const malformed = await retried('no-id')

    expect(foreign).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect([unknown, malformed]).toEqual([foreign, foreign])
    expect(await all()).toMatchObject([{ state: 'dead' }])
    expect(await adminA.post(`${path}/${id}/retry`)).toMatchObject({ status: 200 })
  })
})
