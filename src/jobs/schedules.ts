import { and, asc, eq, gt, isNull, lte, ne, or, sql } from 'drizzle-orm'
import { oncePerDatabase } from '../database/database'
import { acrossTenants, asTenant } from '../database/reach'
import { job_schedules, tenants } from '../database/tables'
import type { Reporter } from '../reporter'
import { isCron, lastTime, nextTime, nextTimeOf } from './cron'
import type { JobDeps } from './job'
import { enqueue } from './queue'

/** Recurring work of a tenant. The kind's payload is this one and `at`: the time that it was due, in ISO 8601. */
export type NewSchedule = { name: string; kind: string; payload: Record<string, unknown>; cron: string }

/** Recurring work that every active tenant has; its payload is only `at`. */
export type TenantSchedule = { readonly name: string; readonly kind: string; readonly cron: string }

/**
 * Makes or changes a tenant's schedule, in the caller's transaction. One that stays the same keeps what is due of it.
 * Throws where `cron` is none; see `isCron`.
 */
export async function setSchedule(
  { database, clock }: JobDeps,
  tenant_id: string,
  schedule: NewSchedule,
): Promise<void> {
  const now = clock.now()
  await database
    .insert(job_schedules)
    .values({ ...schedule, tenant_id, next_at: nextTime(schedule.cron, now), updated_at: now })
    .onConflictDoUpdate({
      target: [job_schedules.tenant_id, job_schedules.name],
      set: {
        kind: sql`excluded.kind`,
        payload: sql`excluded.payload`,
        cron: sql`excluded.cron`,
        // A later one than the cron says was reckoned by a clock that has been set back since.
        next_at: sql`case when ${job_schedules.cron} = excluded.cron and ${job_schedules.next_at} < excluded.next_at then ${job_schedules.next_at} else excluded.next_at end`,
        updated_at: sql`excluded.updated_at`,
      },
    })
}

/** Ends a tenant's schedule; what it has queued stays queued. */
export async function removeSchedule({ database }: JobDeps, tenant_id: string, name: string): Promise<void> {
  await database.delete(job_schedules).where(and(eq(job_schedules.tenant_id, tenant_id), eq(job_schedules.name, name)))
}

/** Gives each active tenant the schedules that it does not have as they are declared. */
export async function ensureSchedules(deps: JobDeps, schedules: readonly TenantSchedule[]): Promise<void> {
  for (const { name, kind, cron } of schedules) {
    const lacking = await acrossTenants('it looks for tenants', () =>
      deps.database
        .select({ tenant_id: tenants.id })
        .from(tenants)
        .leftJoin(job_schedules, and(eq(job_schedules.tenant_id, tenants.id), eq(job_schedules.name, name)))
        .where(
          and(
            eq(tenants.is_active, true),
            or(
              isNull(job_schedules.name),
              ne(job_schedules.kind, kind),
              ne(job_schedules.cron, cron),
              gt(job_schedules.next_at, nextTime(cron, deps.clock.now())),
            ),
          ),
        ),
    )
    for (const { tenant_id } of lacking)
      await asTenant(tenant_id, () => setSchedule(deps, tenant_id, { name, kind, payload: {}, cron }))
  }
}

const atOnce = 100

const queries = oncePerDatabase((database) => ({
  due: database
    .select({
      tenant_id: job_schedules.tenant_id,
      name: job_schedules.name,
      kind: job_schedules.kind,
      payload: job_schedules.payload,
      cron: job_schedules.cron,
      next_at: job_schedules.next_at,
    })
    .from(job_schedules)
    .innerJoin(tenants, eq(tenants.id, job_schedules.tenant_id))
    .where(
      and(
        eq(tenants.is_active, true),
        lte(job_schedules.next_at, sql`${sql.param(sql.placeholder('now'), job_schedules.next_at)}`),
      ),
    )
    .orderBy(asc(job_schedules.next_at))
    .limit(atOnce)
    .prepare('job_schedules_due'),
}))

/**
 * Queues what schedules say is due: once, however many times were missed and however many processes look, and once
 * again at the same time only if the clock was set back by more than finished jobs are kept. One that is no cron
 * expression (an archive may bring one) is put off, because all the work of all tenants comes behind it.
 */
export async function queueDueSchedules(deps: JobDeps & { readonly reporter: Reporter }): Promise<void> {
  const { database, clock, reporter } = deps
  const now = clock.now()
  for (;;) {
    const due = await acrossTenants('one look finds what is due of all tenants', () =>
      queries(database).due.execute({ now }),
    )
    for (const { tenant_id, name, kind, payload, cron, next_at } of due) {
      const last = lastTime(cron, now)
      const at = (last !== undefined && last > next_at ? last : next_at).toISOString()
      const queue = async () => {
        const moved = await database
          .update(job_schedules)
          .set({ next_at: nextTimeOf(cron, now), updated_at: now })
          .where(
            and(
              eq(job_schedules.tenant_id, tenant_id),
              eq(job_schedules.name, name),
              eq(job_schedules.next_at, next_at), // else another process was faster
            ),
          )
          .returning({ name: job_schedules.name })
        if (moved.length === 0) return
        if (!isCron(cron))
          return reporter.warn('A schedule is no cron expression, and is put off.', { tenant_id, name })
        await enqueue(deps, tenant_id, { kind, payload: { ...payload, at }, uniqueKey: `${name}@${at}` })
      }
      await asTenant(tenant_id, () => database.transaction(queue))
    }
    if (due.length < atOnce) return
  }
}
