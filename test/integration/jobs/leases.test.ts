import { eq } from 'drizzle-orm'
import { dialect } from '../../../src/database/dialect'
import { jobs } from '../../../src/database/tables'
import { leaseTable } from '../../../src/jobs/leases'
import { enqueue } from '../../../src/jobs/queue'
import { database, describe, expect, startsAt, test } from '../../kit'
import { after, all, note, noting, stored, working } from './working'

const leaseMs = 30 // real ones, of which a third is a heartbeat; the clock is moved by hand

/** Resolves when the heartbeat has changed something. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve))
}

describe('A lease', () => {
  test('is extended for as long as its job runs', async ({ tenantA, clock }) => {
    const seen: unknown[] = []
    const { jobDeps, worker } = working(
      [
        noting(async (_, { id }) => {
          seen.push((await stored(id))?.due_at)
          clock.advance({ seconds: 60 })
          const extended = after(60.03, startsAt)
          await until(async () => (await stored(id))?.due_at?.getTime() === extended.getTime())
          seen.push((await stored(id))?.due_at)
        }),
      ],
      { leaseMs },
    )
    await enqueue(jobDeps, tenantA.id, note('long'))

    await worker.runDue()

    expect(seen).toEqual([after(0.03, startsAt), after(60.03, startsAt)])
    expect(await all()).toMatchObject([{ state: 'done', attempts: 1 }])
  })

  test('keeps others away until it is over, and not longer', async ({ tenantA, clock }) => {
    const ran: number[] = []
    const { jobDeps, worker } = working([noting((_, { attempt }) => void ran.push(attempt))])
    await enqueue(jobDeps, tenantA.id, note('left behind'))
    await leaseTable(database, ['note']).claim(startsAt, after(60, startsAt)) // by a process that dies

    clock.advance({ seconds: 59, ms: 999 })
    await worker.runDue()
    const early = [...ran]
    clock.advance({ ms: 1 })
    await worker.runDue()

    expect([early, ran]).toEqual([[], [2]])
    expect(await all()).toMatchObject([{ state: 'done', attempts: 2 }])
  })

  test('that was stolen aborts the job, which is not completed here', async ({ tenantA }) => {
    const thief = '01890000-0000-7000-8000-00000000beef'
    const reasons: unknown[] = []
    const logged: string[] = []
    const reporter = { info() {}, unexpected() {}, warn: (message: string) => void logged.push(message) }
    const { jobDeps, worker } = working(
      [
        noting(async (_, { id, signal }) => {
          await database.update(jobs).set({ lease_id: thief }).where(eq(jobs.id, id))
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
          reasons.push(signal.reason)
        }),
      ],
      { leaseMs },
      { reporter },
    )
    await enqueue(jobDeps, tenantA.id, note('stolen'))

    await worker.runDue()

    expect(reasons).toEqual([new Error('lost')])
    expect(await all()).toMatchObject([{ state: 'running', lease_id: thief, attempts: 1 }])
    expect(logged).toEqual(['A job was given to another worker while it ran here.'])
  })

  const ends: [string, () => void][] = [
    ['complete', () => {}],
    ['fail', () => Promise.reject(new Error('late'))],
  ]
  test.each(ends)('that was stolen unnoticed lets nobody %s the job', async (_, end, { tenantA }) => {
    const thief = '01890000-0000-7000-8000-00000000beef'
    const { jobDeps, worker } = working([
      noting(async ({ text }, { id }) => {
        if (text === 'stolen') await database.update(jobs).set({ lease_id: thief }).where(eq(jobs.id, id))
        await end()
      }),
    ])
    const stolen = await enqueue(jobDeps, tenantA.id, note('stolen'))
    const kept = await enqueue(jobDeps, tenantA.id, note('kept'))

    await worker.runDue()

    expect(await stored(stolen)).toMatchObject({ state: 'running', attempts: 1, last_error: null })
    expect((await stored(kept))?.state).not.toBe('running')
  })

  test('that was stolen as the job ended leaves the job to the thief', async ({ tenantA }) => {
    const ends: string[] = []
    const thief = '01890000-0000-7000-8000-00000000beef'
    const { jobDeps, worker } = working(
      [noting((_, { id }) => database.update(jobs).set({ lease_id: thief }).where(eq(jobs.id, id)))],
      { onAttempt: (_, end) => void ends.push(end) },
    )
    await enqueue(jobDeps, tenantA.id, note('stolen'))

    await worker.runDue()

    expect(ends).toEqual(['lost'])
    expect(await all()).toMatchObject([{ state: 'running', lease_id: thief }])
  })

  test('that cannot be extended ends with its time, and the job is aborted', async ({ tenantA, clock }) => {
    const ends: string[] = []
    let isBroken = false
    const flaky = new Proxy(database, {
      get(target, name) {
        if (name === 'update' && isBroken) throw new Error('The database is gone.')
        return Reflect.get(target, name)
      },
    })
    const reporter = { info() {}, warn() {}, unexpected() {} }
    const { jobDeps, worker } = working(
      [
        noting(async (_, { attempt, signal }) => {
          isBroken = attempt === 1
          if (!isBroken) return
          clock.advance({ seconds: 1 })
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
        }),
      ],
      { leaseMs, concurrency: 1, onAttempt: (_, end) => void ends.push(end) },
      { database: flaky, reporter },
    )
    await enqueue(jobDeps, tenantA.id, note('of an outage'))

    await worker.runDue()

    expect(ends).toEqual(['lost', 'done'])
  })

  test('is another one at each claim', async ({ tenantA, clock }) => {
    const { claim, finish } = leaseTable(database, ['note'])
    await enqueue(working([]).jobDeps, tenantA.id, note('twice'))
    const first = await claim(clock.now(), after(60, clock.now()))
    clock.advance({ seconds: 60 })
    const second = await claim(clock.now(), after(60, clock.now()))
    if (!first || !second) throw new Error('Nothing was due.')

    const byFirst = await finish(first, clock.now())
    const bySecond = await finish(second, clock.now())

    expect([first.attempts, second.attempts]).toEqual([1, 2])
    expect([byFirst, bySecond]).toEqual([false, true])
  })

  test('of a process that died does not outlast the clock that gave it', async ({ tenantA, clock }) => {
    const ran: number[] = []
    const { jobDeps, worker } = working([noting((_, { attempt }) => void ran.push(attempt))])
    clock.advance({ days: 40 })
    await enqueue(jobDeps, tenantA.id, note('left behind'))
    await leaseTable(database, ['note']).claim(clock.now(), after(60, clock.now()))
    clock.advance({ days: -40 })

    await worker.bringBack()
    await worker.runDue()
    const early = [...ran]
    clock.advance({ seconds: 60 })
    await worker.runDue()

    expect([early, ran]).toEqual([[], [2]])
  })

  test('is not over because the clock is set back', async ({ tenantA, clock }) => {
    const ran: number[] = []
    const { jobDeps, worker } = working([
      noting(async (_, { attempt }) => {
        ran.push(attempt)
        clock.advance({ hours: -1 })
        await worker.runDue()
      }),
    ])
    await enqueue(jobDeps, tenantA.id, note('once'))

    await worker.runDue()
    clock.advance({ hours: 2 })
    await worker.runDue()

    expect(ran).toEqual([1])
    expect(await all()).toMatchObject([{ state: 'done' }])
  })
})

describe('Several processes', { isolation: 'fork' }, (test) => {
  test('claim forty jobs, each of them once', async ({ tenantA, clock }) => {
    const { jobDeps } = working([])
    for (let n = 0; n < 40; n++) await enqueue(jobDeps, tenantA.id, note(`${n}`))
    const { claim } = leaseTable(database, ['note'])

    const claimed = await Promise.all(Array.from({ length: 50 }, () => claim(clock.now(), after(60, clock.now()))))

    const got = claimed.filter((job) => job !== undefined)
    expect(got).toHaveLength(40)
    expect(new Set(got.map(({ id }) => id)).size).toBe(40)
    expect(new Set(got.map(({ lease_id }) => lease_id)).size).toBe(40)
  })

  test('run two hundred jobs, each of them once', async ({ tenantA }) => {
    const ran: string[] = []
    const kind = noting(async ({ text }) => {
      ran.push(text)
      await database.select().from(jobs).limit(1)
    })
    const { jobDeps, worker } = working([kind])
    const another = working([kind])
    for (let n = 0; n < 200; n++) await enqueue(jobDeps, tenantA.id, note(`${n}`))

    await Promise.all([worker.runDue(), another.worker.runDue()])

    expect(ran.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n))
    expect(new Set((await all()).map(({ state }) => state))).toEqual(new Set(['done']))
  })

  test('queue one job with one key', async ({ tenantA }) => {
    const { jobDeps } = working([])
    const queued = Array.from({ length: 20 }, () =>
      database.transaction(() => enqueue(jobDeps, tenantA.id, note('same', { uniqueKey: 'key' }))),
    )

    const ids = await Promise.all(queued)

    expect(ids.filter((id) => id !== undefined)).toHaveLength(1)
    expect(await all()).toHaveLength(1)
  })
})

// SQLite has one writer: there is nobody to wait for.
describe.if(dialect === 'postgres')('A job that another connection has locked', { isolation: 'fork' }, (test) => {
  test('is passed over, not waited for', async ({ tenantA, clock }) => {
    const { jobDeps } = working([])
    const locked = await enqueue(jobDeps, tenantA.id, note('locked'))
    const free = await enqueue(jobDeps, tenantA.id, note('free'))
    const { claim } = leaseTable(database, ['note'])
    const [isLocked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const holding = database.transaction(async () => {
      await database
        .update(jobs)
        .set({ updated_at: startsAt })
        .where(eq(jobs.id, locked ?? ''))
      isLocked.resolve()
      await release.promise
    })
    await isLocked.promise

    const claims = Promise.all([1, 2].map(() => claim(clock.now(), after(60, clock.now()))))

    // Without a transaction around it, another statement of this test is not behind the one that holds the lock.
    expect((await claims).map((job) => job?.id).sort()).toEqual([free, undefined].sort())
    release.resolve()
    await holding
  })
})
