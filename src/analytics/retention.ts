import { Type } from '@sinclair/typebox'
import { and, asc, eq, inArray, lt } from 'drizzle-orm'
import type { Database } from '../database/database'
import { request_records, tenant_settings } from '../database/tables'
import { beginOf, dayAfter, dayOf, leastIdAt } from '../day'
import type { Clock } from '../ids'
import type { JobKind } from '../jobs/job'
import { shape } from '../schema'

type Deps = { database: Database; clock: Clock }

const rowsAtOnce = 1000

/**
 * Deletes the request records of days that are older than the tenant keeps them, a thousand at a time, so that nobody
 * waits long for it. Rollups stay. Returns how many were deleted; none where the tenant sets no `retention_days`.
 */
export async function pruneRequests(
  { database, clock }: Deps,
  tenant_id: string,
  signal?: AbortSignal,
): Promise<number> {
  const ofTenant = eq(tenant_settings.tenant_id, tenant_id)
  const [settings] = await database.select().from(tenant_settings).where(ofTenant)
  if (settings?.retention_days == null) return 0
  const oldest = dayAfter(dayOf(clock.now()), -settings.retention_days)
  // Said before it is done, and never taken back: from the first deleted record on, these days cannot be added up again.
  const before = [oldest, settings.requests_pruned_before ?? ''].toSorted().at(-1) ?? oldest
  if (before !== settings.requests_pruned_before)
    await database.update(tenant_settings).set({ requests_pruned_before: before }).where(ofTenant)

  const old = and(eq(request_records.tenant_id, tenant_id), lt(request_records.id, leastIdAt(beginOf(oldest))))
  let deleted = 0
  while (!signal?.aborted) {
    const some = await database
      .select({ id: request_records.id })
      .from(request_records)
      .where(old)
      .orderBy(asc(request_records.id))
      .limit(rowsAtOnce)
    const last = some.map(({ id }) => id)
    if (last.length > 0)
      await database
        .delete(request_records)
        .where(and(eq(request_records.tenant_id, tenant_id), inArray(request_records.id, last)))
    deleted += last.length
    if (last.length < rowsAtOnce) break
  }
  return deleted
}

const Due = shape({ at: Type.String() })

/** To be scheduled once a day for each tenant. Doing it twice does no harm. */
export const pruneRequestsJob = (deps: Deps): JobKind<typeof Due> => ({
  name: 'analytics.prune',
  payload: Due,
  mostAttempts: 5,
  timeoutMs: 10 * 60_000,
  run: async (_, { tenant_id, signal }) => void (await pruneRequests(deps, tenant_id, signal)),
})
