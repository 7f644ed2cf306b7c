import { and, asc, countDistinct, eq, gte, lte } from 'drizzle-orm'
import { sumOf } from '../database/aggregates'
import type { Database } from '../database/database'
import { usage_days } from '../database/tables'
import type { Clock } from '../ids'
import type { EventData } from '../plugins/events'
import type { UsageReader } from '../plugins/plugin'
import { analyticsStore } from './store'

type Deps = { database: Database; clock: Clock }

/** What plugins may know of their tenant's use: tokens by day and model, the first day first. */
export function usageReader({ database }: Deps, tenant_id: string): UsageReader {
  return {
    daily: ({ start_date, end_date }) =>
      database
        .select({
          day: usage_days.day,
          model: usage_days.model,
          replies: sumOf(usage_days.reply_count),
          prompt_tokens: sumOf(usage_days.prompt_tokens),
          completion_tokens: sumOf(usage_days.completion_tokens),
          unique_users: countDistinct(usage_days.user_id),
        })
        .from(usage_days)
        .where(and(eq(usage_days.tenant_id, tenant_id), gte(usage_days.day, start_date), lte(usage_days.day, end_date)))
        .groupBy(usage_days.day, usage_days.model)
        .orderBy(asc(usage_days.day), asc(usage_days.model)),
  }
}

/** What the event `daily_summary.ready` says of a day. */
export async function daySummary(
  deps: Deps,
  tenant_id: string,
  day: string,
): Promise<EventData['daily_summary.ready']> {
  const range = { start_date: day, end_date: day }
  const { total_requests, error_count, total_tokens, total_messages, unique_users } = await analyticsStore(deps, {
    tenant_id,
  }).summary(range)
  return { day, total_requests, error_count, total_tokens, total_messages, unique_users }
}
