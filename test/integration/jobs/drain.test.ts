import type { JobContext } from '../../../src/jobs/job'
import { enqueue } from '../../../src/jobs/queue'
import { Lifetime } from '../../../src/lifetime'
import { describe, expect, startsAt, test } from '../../kit'
import { after, all, note, noting, working } from './working'

/** A started worker with one place, whose job runs until it is released or told to stop. */
function started(options: { pollMs?: number } = {}) {
  const lifetime = new Lifetime(() => {})
  const began = Promise.withResolvers<JobContext>()
  const released = Promise.withResolvers<void>()
  const kind = noting(async (_, context) => {
    began.resolve(context)
    await released.promise
  })
  const { jobDeps, worker } = working([kind], { concurrency: 1, pollMs: 60_000, ...options }, { lifetime })
  worker.start()
  return { jobDeps, worker, lifetime, began: began.promise, release: released.resolve }
}

describe('A started worker', () => {
  test('runs what is queued when the bell rings', async ({ tenantA }) => {
    const { jobDeps, worker, began, release } = started()

    const id = await enqueue(jobDeps, tenantA.id, note('now'))
    const context = await began

    release()
    await worker.drain()
    expect(context).toMatchObject({ id, tenant_id: tenantA.id })
    expect(await all()).toMatchObject([{ state: 'done' }])
  })

  test('finds what nobody rang for, such as what became due', async ({ tenantA, clock }) => {
    const { jobDeps, worker, began, release } = started({ pollMs: 2 })
    await enqueue(jobDeps, tenantA.id, note('later', { dueAt: after(60, startsAt) }))

    clock.advance({ seconds: 60 })
    await began

    release()
    await worker.drain()
    expect(await all()).toMatchObject([{ state: 'done' }])
  })

  test('lets what runs end when it drains, and begins nothing more', async ({ tenantA }) => {
    const { jobDeps, worker, began, release } = started()
    await enqueue(jobDeps, tenantA.id, note('runs'))
    await began
    await enqueue(jobDeps, tenantA.id, note('waits'))

    const drained = worker.drain()
    await enqueue(jobDeps, tenantA.id, note('comes later'))
    release()
    await drained

    expect((await all()).map(({ state, attempts }) => [state, attempts])).toEqual([
      ['done', 1],
      ['queued', 0],
      ['queued', 0],
    ])
  })

  test('gives back at once what does not end within the grace, as if it had not begun', async ({ tenantA, clock }) => {
    const { jobDeps, worker, lifetime, began } = started()
    await enqueue(jobDeps, tenantA.id, note('long'))
    const { signal } = await began
    clock.advance({ seconds: 7 })

    lifetime.run(() => worker.drain())
    lifetime.cut()
    await lifetime.settle()

    expect(signal.aborted).toBe(true)
    expect(await all()).toMatchObject([
      { state: 'queued', attempts: 0, due_at: after(7, startsAt), lease_id: null, last_error: null },
    ])
  })

  test('leaves what it gave back to another one', async ({ tenantA }) => {
    const { jobDeps, worker, lifetime, began } = started()
    await enqueue(jobDeps, tenantA.id, note('long'))
    await began
    lifetime.run(() => worker.drain())
    lifetime.cut()
    await lifetime.settle()
    const attempts: number[] = []

    await working([noting((_, { attempt }) => void attempts.push(attempt))]).worker.runDue()

    expect(attempts).toEqual([1])
    expect(await all()).toMatchObject([{ state: 'done', attempts: 1 }])
  })

  test('goes on after the database failed, and says so once', async ({ tenantA }) => {
    const errors: unknown[] = []
    let outages = 3
    const reporter = { info() {}, warn() {}, unexpected: (error: unknown) => void errors.push(error) }
    const done = Promise.withResolvers<string>()
    const clock = {
      now: () => {
        if (outages-- > 0) throw new Error('The world is gone.')
        return startsAt
      },
    }
    const { worker } = working([noting(({ text }) => done.resolve(text))], { pollMs: 1 }, { reporter, clock })
    await enqueue(working([]).jobDeps, tenantA.id, note('after the outage'))

    worker.start()
    const text = await done.promise

    await worker.drain()
    expect(text).toBe('after the outage')
    expect(errors).toEqual([new Error('The world is gone.')])
  })
})
