import { jobs } from '../../../src/database/tables'
import { enqueue, enqueueAll } from '../../../src/jobs/queue'
import { database, deps, describe, expect, startsAt, test } from '../../kit'
import { after, all, note, noting, stored, working } from './working'

class Undone extends Error {}

// Serial: they are about the same key, and on Postgres who wants it waits for whoever took it first.
describe.serial('A queued job', () => {
  test('is stored as it was given, due now', async ({ tenantA }) => {
    const { jobDeps } = working([])

    const id = await enqueue(jobDeps, tenantA.id, note('first'))

    expect(await database.select().from(jobs)).toEqual([
      {
        tenant_id: tenantA.id,
        id: expect.any(String),
        kind: 'note',
        payload: { text: 'first' },
        unique_key: null,
        state: 'queued',
        attempts: 0,
        due_at: startsAt,
        lease_id: null,
        last_error: null,
        created_at: startsAt,
        updated_at: startsAt,
      },
    ])
    expect((await all())[0]?.id).toBe(String(id))
  })

  test('may be due later', async ({ tenantA }) => {
    const dueAt = after(3600, startsAt)

    const id = await enqueue(working([]).jobDeps, tenantA.id, note('later', { dueAt }))

    expect(await stored(id)).toMatchObject({ state: 'queued', due_at: dueAt })
  })

  test('by a clock that was 40 days ahead is done once that is noticed', async ({ tenantA, clock }) => {
    const ran: string[] = []
    const { jobDeps, worker } = working([noting(({ text }) => void ran.push(text))])
    clock.advance({ days: 40 })
    await enqueue(jobDeps, tenantA.id, note('ahead'))
    clock.advance({ days: -40 })
    await enqueue(jobDeps, tenantA.id, note('later', { dueAt: after(3600, startsAt) }))
    await worker.runDue()
    const before = [...ran]

    await worker.bringBack()
    await worker.runDue()

    expect([before, ran]).toEqual([[], ['ahead']])
  })

  test('is there once for a key, of its tenant and kind', async ({ tenantA, tenantB }) => {
    const { jobDeps } = working([])
    const first = await enqueue(jobDeps, tenantA.id, note('1', { uniqueKey: 'key' }))

    const second = await enqueue(jobDeps, tenantA.id, note('2', { uniqueKey: 'key' }))

    expect(first).toBeString()
    expect(second).toBeUndefined()
    expect(await enqueue(jobDeps, tenantA.id, note('3', { uniqueKey: 'other' }))).toBeString()
    expect(await enqueue(jobDeps, tenantA.id, note('4', { uniqueKey: 'key', kind: 'other' }))).toBeString()
    expect(await enqueue(jobDeps, tenantB.id, note('5', { uniqueKey: 'key' }))).toBeString()
    expect((await all()).map(({ payload }) => payload.text)).toEqual(['1', '3', '4', '5'])
  })

  test('is there as often as it is queued without a key', async ({ tenantA }) => {
    const { jobDeps } = working([])

    await enqueue(jobDeps, tenantA.id, note('same'))
    await enqueue(jobDeps, tenantA.id, note('same'))

    expect(await all()).toHaveLength(2)
  })

  test('goes with the transaction that queued it', async ({ tenantA }) => {
    const { jobDeps } = working([])

    const undone = database.transaction(async () => {
      await enqueue(jobDeps, tenantA.id, note('undone'))
      throw new Undone()
    })
    await undone.catch(() => {})
    await database.transaction(() => enqueue(jobDeps, tenantA.id, note('kept')))

    expect((await all()).map(({ payload }) => payload.text)).toEqual(['kept'])
  })

  test.each(['', 'all', '*', 'undefined'])('is refused for the tenant %p', async (tenant_id, { tenantA }) => {
    const { jobDeps } = working([])

    await expect(enqueue(jobDeps, tenant_id, note('lost'))).rejects.toThrow(
      'A job of the kind note has no tenant: it is queued for one, never for all.',
    )
    expect(await enqueue(jobDeps, tenantA.id, note('kept'))).toBeString()
  })

  test('with 1,500 others takes two statements, and leaves out those with a known key', async ({ tenantA, ledger }) => {
    const { jobDeps } = working([])
    const keyed = (n: number) => note(`${n}`, { uniqueKey: `${n}` })
    await enqueue(jobDeps, tenantA.id, keyed(7))
    const before = ledger.statements.length

    const ids = await enqueueAll(
      jobDeps,
      tenantA.id,
      Array.from({ length: 1500 }, (_, n) => keyed(n)),
    )

    expect(ids).toHaveLength(1499)
    expect(ledger.statements).toHaveLength(before + 2)
    expect(await all()).toHaveLength(1500)
  })
})

describe.serial('The bell', () => {
  const ringing = () => {
    const { jobDeps } = working([])
    let rings = 0
    jobDeps.jobBell.onRing(() => void rings++)
    return { jobDeps, rings: () => rings }
  }

  test('rings after the commit, not before', async ({ tenantA }) => {
    const { jobDeps, rings } = ringing()
    const heard: number[] = []

    await database.transaction(async () => {
      await database.transaction(() => enqueue(jobDeps, tenantA.id, note('inner')))
      heard.push(rings())
    })

    expect([...heard, rings()]).toEqual([0, 1])
  })

  test('does not ring for what was undone or was there already', async ({ tenantA }) => {
    const { jobDeps, rings } = ringing()
    await enqueue(jobDeps, tenantA.id, note('first', { uniqueKey: 'key' }))

    const undone = database.transaction(async () => {
      await enqueue(jobDeps, tenantA.id, note('undone'))
      throw new Undone()
    })
    await undone.catch(() => {})
    await enqueue(jobDeps, tenantA.id, note('again', { uniqueKey: 'key' }))
    await enqueueAll(jobDeps, tenantA.id, [note('again', { uniqueKey: 'key' })])

    expect(rings()).toBe(1)
  })

  test('has a job done, and settle() waits for it', async ({ tenantA, settle }) => {
    const done: string[] = []
    const { jobDeps, worker } = working([noting(({ text }) => void done.push(text))])
    jobDeps.jobBell.onRing(() => deps.lifetime.run(() => worker.runDue()))

    await enqueue(jobDeps, tenantA.id, note('rung for'))
    await settle()

    expect(done).toEqual(['rung for'])
  })
})
