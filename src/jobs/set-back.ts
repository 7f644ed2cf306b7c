import { and, eq, gt } from 'drizzle-orm'
import { acrossTenants, asTenant } from '../database/reach'
import { job_schedules, jobs } from '../database/tables'
import { nextTimeOf } from './cron'
import type { JobDeps } from './job'

/** Of several processes, one whose clock is ahead by no more than this is not taken for wrong. */
const skewMs = 60_000

/**
 * Brings back what was written by a clock that was ahead and has been set back since: it would wait until that time comes
 * again. A job that waits is due now, one that runs is held for one lease more, a schedule is reckoned anew.
 */
export async function bringBack(deps: JobDeps, leaseMs: number): Promise<void> {
  const { database, clock } = deps
  const now = clock.now()
  const [ahead, leaseEnds] = [new Date(now.getTime() + skewMs), new Date(now.getTime() + leaseMs)]
  const writtenAhead = and(gt(jobs.due_at, ahead), gt(jobs.updated_at, ahead))
  const schedules = await acrossTenants('the clock is one for all tenants', async () => {
    for (const [state, due_at] of [['queued', now] as const, ['running', leaseEnds] as const])
      await database
        .update(jobs)
        .set({ due_at, updated_at: now })
        .where(and(eq(jobs.state, state), writtenAhead))
    return await database
      .select({ tenant_id: job_schedules.tenant_id, name: job_schedules.name, cron: job_schedules.cron })
      .from(job_schedules)
      .where(and(gt(job_schedules.next_at, ahead), gt(job_schedules.updated_at, ahead)))
  })
  for (const { tenant_id, name, cron } of schedules)
    await asTenant(tenant_id, () =>
      database
        .update(job_schedules)
        .set({ next_at: nextTimeOf(cron, now), updated_at: now })
        .where(and(eq(job_schedules.tenant_id, tenant_id), eq(job_schedules.name, name))),
    )
}
