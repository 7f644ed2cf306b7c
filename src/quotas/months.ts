import { and, eq, gte, lt, sql } from 'drizzle-orm'
import type { Database } from '../database/database'
import { quota_months, usage_records } from '../database/tables'
import { firstIdAt, type Month } from './windows'

const { tenant_id, id, prompt_tokens, completion_tokens } = usage_records

/**
 * Begins to count a tenant's month, with what its chats came to before. A reply belongs to the month in which it was
 * asked for, which its id says: it is never in two, whenever it ends. Replies that run just now for a tenant that had no
 * quota when they began are not counted.
 */
export async function openMonth(database: Database, tenant: string, month: Month): Promise<void> {
  const [before] = await database
    .select({ used: sql`coalesce(sum(${prompt_tokens} + ${completion_tokens}), 0)`.mapWith(Number) })
    .from(usage_records)
    .where(and(eq(tenant_id, tenant), gte(id, firstIdAt(month.startsAt)), lt(id, firstIdAt(month.endsAt))))
  await database
    .insert(quota_months)
    .values({ tenant_id: tenant, month: month.name, used: before?.used ?? 0, reserved: 0 })
    .onConflictDoNothing()
}
