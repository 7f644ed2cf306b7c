import { and, asc, eq, gt, isNotNull, lte, or, sql } from 'drizzle-orm'
import type { Database } from '../database/database'
import { quota_reservations, usage_records } from '../database/tables'
import type { Clock } from '../ids'
import { quotaLedger } from './ledger'

type Deps = { readonly database: Database; readonly clock: Clock }

/** A reply of which nothing was heard for so long after its time was up is not waited for any longer. */
const keptForMs = 24 * 60 * 60 * 1000
/** Clocks of several processes differ, and so does how long a reply may take. */
const expirySlackMs = 60 * 60 * 1000
const atOnce = 500

/**
 * Makes good what a crash between reserving and settling left behind: a reply that was stored is counted by its usage
 * record, and what is held for one that never came is given back. However often it runs, and beside replies that settle
 * late, nothing is counted twice or lost. Of one tenant, or of all: for the start of a process and for a job. Returns
 * how many reservations it changed.
 */
export async function reconcileQuotas({ database, clock }: Deps, tenant_id?: string): Promise<number> {
  let done = 0
  for (let after = ''; ; ) {
    const now = clock.now()
    const left = await overdue(database, now, tenant_id, after)
    for (const { tenant_id, id, tokens, spent } of left) {
      const ledger = quotaLedger(database)
      if (spent !== null) await ledger.settle(tenant_id, id, Number(spent))
      // It may still run, however slow: should it be stored after all, it settles what it came to.
      else if (tokens > 0) await ledger.lapse({ tenant_id, id, tokens }, new Date(now.getTime() + keptForMs))
      else await ledger.settle(tenant_id, id, 0)
    }
    done += left.length
    after = left.at(-1)?.id ?? ''
    if (left.length < atOnce) return done
  }
}

/** What has expired, or was held by a clock that was a day ahead and has been set back since; and, where all tenants are meant, all whose usage is recorded, because that is the end of a reply. */
async function overdue(database: Database, now: Date, tenant_id: string | undefined, after: string) {
  const longest = new Date(now.getTime() + keptForMs + expirySlackMs)
  const expired = or(lte(quota_reservations.expires_at, now), gt(quota_reservations.expires_at, longest))
  return await database
    .select({
      tenant_id: quota_reservations.tenant_id,
      id: quota_reservations.id,
      tokens: quota_reservations.tokens,
      spent: sql<number | null>`${usage_records.prompt_tokens} + ${usage_records.completion_tokens}`,
    })
    .from(quota_reservations)
    .leftJoin(
      usage_records,
      and(eq(usage_records.tenant_id, quota_reservations.tenant_id), eq(usage_records.id, quota_reservations.id)),
    )
    .where(
      and(
        tenant_id === undefined
          ? or(expired, isNotNull(usage_records.id))
          : and(eq(quota_reservations.tenant_id, tenant_id), expired),
        after === '' ? undefined : gt(quota_reservations.id, after),
      ),
    )
    .orderBy(asc(quota_reservations.id))
    .limit(atOnce)
}
