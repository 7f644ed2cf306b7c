import { Type } from '@sinclair/typebox'
import { and, eq, inArray, lt, notInArray } from 'drizzle-orm'
import type { Database } from '../database/database'
import { jobs } from '../database/tables'
import type { Clock } from '../ids'
import { shape } from '../schema'
import type { JobContext, JobKind } from './job'

const dayMs = 24 * 60 * 60 * 1000
export const keptDays = { done: 7, dead: 30, unknown: 7 }

/** Short enough that nobody waits long for the database. */
const rowsAtOnce = 500

/** Removes a tenant's jobs that ended long ago, and gives up those that no process knows how to do. */
export function pruning(
  { database, clock }: { database: Database; clock: Clock },
  knownKinds: readonly string[],
): JobKind {
  const before = (days: number) => new Date(clock.now().getTime() - days * dayMs)

  const remove = async (state: 'done' | 'dead', { tenant_id, signal }: JobContext): Promise<void> => {
    const old = and(eq(jobs.tenant_id, tenant_id), eq(jobs.state, state), lt(jobs.updated_at, before(keptDays[state])))
    for (;;) {
      signal.throwIfAborted()
      const some = database.select({ id: jobs.id }).from(jobs).where(old).limit(rowsAtOnce)
      const removed = await database
        .delete(jobs)
        .where(and(eq(jobs.tenant_id, tenant_id), inArray(jobs.id, some)))
        .returning({ id: jobs.id })
      if (removed.length < rowsAtOnce) return
    }
  }

  return {
    name: 'jobs.prune',
    payload: shape({ at: Type.String() }),
    mostAttempts: 3,
    timeoutMs: 10 * 60 * 1000,
    async run(_payload, context) {
      await remove('done', context)
      await remove('dead', context)
      const now = clock.now()
      await database
        .update(jobs)
        .set({
          state: 'dead',
          due_at: null,
          lease_id: null,
          last_error: 'No process knew this kind of work for a week.',
          updated_at: now,
        })
        .where(
          and(
            eq(jobs.tenant_id, context.tenant_id),
            // Those that are over are not due; of one that somebody began, the lease ended then.
            lt(jobs.due_at, before(keptDays.unknown)),
            notInArray(jobs.kind, [...knownKinds]),
          ),
        )
    },
  }
}
