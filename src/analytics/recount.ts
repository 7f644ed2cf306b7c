import { and, asc, eq, gt } from 'drizzle-orm'
import type { Database } from '../database/database'
import { messages, request_records, type usage_days, usage_records } from '../database/tables'
import { beginOf, dayOf, leastIdAt } from '../day'
import { count, newTally, type Tally } from './rollup'

const rowsAtOnce = 5000
const beforeAllIds = leastIdAt(new Date(0))

/** What the request records of a tenant add up to, from this day on. */
export async function recountRequests(
  database: Database,
  tenant_id: string,
  since: string | undefined,
): Promise<Tally> {
  const tally = newTally()
  const first = since === undefined ? beforeAllIds : leastIdAt(beginOf(since))
  const page = (after: string) =>
    database
      .select()
      .from(request_records)
      .where(and(eq(request_records.tenant_id, tenant_id), gt(request_records.id, after)))
      .orderBy(asc(request_records.id))
      .limit(rowsAtOnce)
  for await (const rows of pages(first, page)) count(tally, rows)
  return tally
}

export type UsageDay = Omit<typeof usage_days.$inferSelect, 'shard'>

export async function recountUsage(database: Database, tenant_id: string): Promise<Map<string, UsageDay>> {
  const days = new Map<string, UsageDay>()
  const page = (after: string) =>
    database
      .select()
      .from(usage_records)
      .where(and(eq(usage_records.tenant_id, tenant_id), gt(usage_records.id, after)))
      .orderBy(asc(usage_records.id))
      .limit(rowsAtOnce)
  for await (const rows of pages(beforeAllIds, page)) {
    for (const { user_id, model, prompt_tokens, completion_tokens, is_estimated, created_at } of rows) {
      const key = usageKey({ day: dayOf(created_at), user_id, model })
      const none = { reply_count: 0, prompt_tokens: 0, completion_tokens: 0, estimated_tokens: 0 }
      const row = days.get(key) ?? { tenant_id, day: dayOf(created_at), user_id, model, ...none }
      row.reply_count++
      row.prompt_tokens += prompt_tokens
      row.completion_tokens += completion_tokens
      if (is_estimated) row.estimated_tokens += prompt_tokens + completion_tokens
      days.set(key, row)
    }
  }
  return days
}

export const usageKey = ({ day, user_id, model }: { day: string; user_id: string; model: string }) =>
  `${day} ${user_id} ${model}`

/** Messages that are there, by day. Those of deleted conversations are not, though they count. */
export async function recountMessages(database: Database, tenant_id: string): Promise<Map<string, number>> {
  const days = new Map<string, number>()
  const page = (after: string) =>
    database
      .select({ id: messages.id, created_at: messages.created_at })
      .from(messages)
      .where(and(eq(messages.tenant_id, tenant_id), gt(messages.id, after)))
      .orderBy(asc(messages.id))
      .limit(rowsAtOnce)
  for await (const rows of pages(beforeAllIds, page)) {
    for (const { created_at } of rows) days.set(dayOf(created_at), (days.get(dayOf(created_at)) ?? 0) + 1)
  }
  return days
}

/** All rows after an id, some thousand at a time. */
async function* pages<Row extends { id: string }>(
  first: string,
  page: (after: string) => PromiseLike<Row[]>,
): AsyncGenerator<Row[]> {
  let after: string | undefined = first
  while (after !== undefined) {
    const rows: Row[] = await page(after)
    yield rows
    after = rows.length < rowsAtOnce ? undefined : rows.at(-1)?.id
  }
}
