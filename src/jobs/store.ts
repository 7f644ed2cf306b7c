import { and, count, desc, eq, lt } from 'drizzle-orm'
import { recordAudit } from '../audit/store'
import type { Principal } from '../auth/principal'
import { jobs } from '../database/tables'
import { conflict, notFound } from '../errors'
import { parseId } from '../ids'
import { decodeCursor, defaultLimit, idCursor, type Page, paged } from '../page'
import type { JobDeps } from './job'
import type { Job, JobQuery } from './schema'

const visible = {
  id: jobs.id,
  kind: jobs.kind,
  state: jobs.state,
  attempts: jobs.attempts,
  last_error: jobs.last_error,
  due_at: jobs.due_at,
  created_at: jobs.created_at,
  updated_at: jobs.updated_at,
}

/** The jobs of the principal's tenant. */
export function jobStore(deps: JobDeps, principal: Principal) {
  const { database, clock, jobBell } = deps
  const { tenant_id } = principal
  const mine = (id: string) => and(eq(jobs.tenant_id, tenant_id), eq(jobs.id, parseId(id, 'job')))

  return {
    async list({ cursor, offset = 0, state, kind, ...query }: JobQuery): Promise<Page<Job>> {
      const { limit = defaultLimit } = query
      const before = cursor === undefined ? undefined : lt(jobs.id, decodeCursor(cursor, idCursor))
      const wanted = and(
        eq(jobs.tenant_id, tenant_id),
        state === undefined ? undefined : eq(jobs.state, state),
        kind === undefined ? undefined : eq(jobs.kind, kind),
      )
      const [rows, [counted]] = await Promise.all([
        database
          .select(visible)
          .from(jobs)
          .where(and(wanted, before))
          .orderBy(desc(jobs.id))
          .limit(limit + 1)
          .offset(offset),
        database.select({ total: count() }).from(jobs).where(wanted),
      ])
      return paged(rows, query, counted?.total ?? 0, ({ id }) => id)
    },

    /** Begins a dead job anew, with all its attempts. Throws not_found, or conflict where it is not dead. */
    retry: (id: string): Promise<Job> =>
      database.transaction(async () => {
        const now = clock.now()
        const [queued] = await database
          .update(jobs)
          .set({ state: 'queued', attempts: 0, due_at: now, lease_id: null, updated_at: now })
          .where(and(mine(id), eq(jobs.state, 'dead')))
          .returning(visible)
        if (queued) {
          await recordAudit(deps, principal, {
            action: 'job.retried',
            subject: queued.id,
            detail: { kind: queued.kind },
          })
          database.afterCommit(() => jobBell.ring())
          return queued
        }
        const [found] = await database.select({ state: jobs.state }).from(jobs).where(mine(id))
        if (!found) throw notFound('job')
        throw conflict(`The job is ${found.state}; only a dead one is tried again.`)
      }),
  }
}
