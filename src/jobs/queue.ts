import { jobs } from '../database/tables'
import { newId } from '../ids'
import type { JobDeps, NewJob } from './job'

/** STUB until jobs are merged. */
export async function enqueue(deps: JobDeps, tenant_id: string, job: NewJob): Promise<string | undefined> {
  const now = deps.clock.now()
  const id = newId(deps.clock)
  await deps.database.insert(jobs).values({
    tenant_id,
    id,
    kind: job.kind,
    payload: job.payload,
    state: 'queued',
    due_at: now,
    created_at: now,
    updated_at: now,
  })
  return id
}
