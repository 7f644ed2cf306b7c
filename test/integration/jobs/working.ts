import { Type } from '@sinclair/typebox'
import { eq } from 'drizzle-orm'
import type { Database } from '../../../src/database/database'
import { jobs } from '../../../src/database/tables'
import { JobBell, type JobContext, type JobKind, type NewJob } from '../../../src/jobs/job'
import { JobWorker, type WorkerDeps, type WorkerOptions } from '../../../src/jobs/worker'
import { shape } from '../../../src/schema'
import { database, deps } from '../../kit'

type Run = (payload: { text: string }, context: JobContext) => unknown

/** A kind of job that does what the test says. */
export const noting = (run: Run, changes: Partial<JobKind> = {}): JobKind => ({
  name: 'note',
  payload: shape({ text: Type.String() }),
  mostAttempts: 3,
  timeoutMs: 5000,
  run: async (payload, context) => void (await run(payload as { text: string }, context)),
  ...changes,
})

export const note = (text: string, more: Partial<NewJob> = {}): NewJob => ({ kind: 'note', payload: { text }, ...more })

/** A worker with a bell of its own, for which chance is always at its highest. */
export function working(
  kinds: readonly JobKind[],
  options: Partial<WorkerOptions> = {},
  changes: Partial<WorkerDeps> = {},
) {
  const jobDeps = { ...deps, jobBell: new JobBell(), ...changes }
  return { jobDeps, worker: new JobWorker(jobDeps, { kinds, random: () => 1, ...options }) }
}

const columns = { state: jobs.state, attempts: jobs.attempts, due_at: jobs.due_at, last_error: jobs.last_error }

/** What is stored of a job. */
export async function stored(id: string | undefined, from: Database = database) {
  const [job] = await from
    .select(columns)
    .from(jobs)
    .where(eq(jobs.id, id ?? ''))
  return job
}

/** All jobs there are, oldest first. */
export const all = (from: Database = database) =>
  from
    .select({ ...columns, id: jobs.id, kind: jobs.kind, payload: jobs.payload, lease_id: jobs.lease_id })
    .from(jobs)
    .orderBy(jobs.id)

export const after = (seconds: number, from: Date): Date => new Date(from.getTime() + seconds * 1000)
