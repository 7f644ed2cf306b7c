import { Type } from '@sinclair/typebox'
import { connect } from '../../src/database/database'
import { migrate } from '../../src/database/migrate'
import { jobs } from '../../src/database/tables'
import { newId, systemClock } from '../../src/ids'
import { JobBell, type JobKind } from '../../src/jobs/job'
import { enqueue, enqueueAll } from '../../src/jobs/queue'
import { JobWorker } from '../../src/jobs/worker'
import { Lifetime } from '../../src/lifetime'
import { shape } from '../../src/schema'
import { createTenant } from '../../src/tenants/store'

const nothing: JobKind = {
  name: 'nothing',
  payload: shape({ number: Type.Integer() }),
  mostAttempts: 1,
  timeoutMs: 60_000,
  run: async () => {},
}

/** A database with a tenant and as many finished jobs as `done`, and what is measured on it. */
export async function openJobs(url: string, done: number) {
  const connection = connect(url, { maxConnections: 10 })
  await migrate(connection.root)
  const { database } = connection
  const deps = { database, clock: systemClock, jobBell: new JobBell() }
  const tenant_id = await createTenant(deps, { slug: 'acme', name: 'Acme' })
  const now = systemClock.now()
  const finished = { tenant_id, kind: 'nothing', payload: { number: 0 }, state: 'done' as const, attempts: 1 }
  for (let from = 0; from < done; from += 1000) {
    const rows = Array.from({ length: Math.min(1000, done - from) }, () => ({
      ...finished,
      id: newId(systemClock),
      due_at: null,
      created_at: now,
      updated_at: now,
    }))
    await database.insert(jobs).values(rows)
  }
  const reporter = { info() {}, warn: fail, unexpected: fail }
  const worker = (concurrency: number) =>
    new JobWorker({ ...deps, lifetime: new Lifetime(fail), reporter }, { kinds: [nothing], concurrency })
  const workers = new Map([1, 5, 20].map((places) => [places, worker(places)]))
  const job = (number: number) => ({ kind: 'nothing', payload: { number } })

  return {
    /** Jobs for each second, from queued to done. */
    async work(count: number, places: number): Promise<number> {
      await enqueueAll(
        deps,
        tenant_id,
        Array.from({ length: count }, (_, number) => job(number)),
      )
      const startedAt = performance.now()
      await workers.get(places)?.runDue()
      return (count / (performance.now() - startedAt)) * 1000
    },
    /** µs of a transaction that queues so many jobs, one by one; they are removed again. */
    async transaction(count: number, jobsEach: number): Promise<number> {
      const startedAt = performance.now()
      for (let at = 0; at < count; at++) {
        await database.transaction(async () => {
          for (let number = 0; number < jobsEach; number++) await enqueue(deps, tenant_id, job(number))
        })
      }
      const us = ((performance.now() - startedAt) * 1000) / count
      await workers.get(20)?.runDue()
      return us
    },
    /** µs of a look that finds nothing: schedules and jobs. */
    async poll(count: number): Promise<number> {
      const startedAt = performance.now()
      for (let at = 0; at < count; at++) await workers.get(5)?.runDue()
      return ((performance.now() - startedAt) * 1000) / count
    },
    close: () => connection[Symbol.asyncDispose](),
  }
}

const fail = (error: unknown): never => {
  throw error
}
