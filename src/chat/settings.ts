import { and, eq, sql } from 'drizzle-orm'
import { oncePerDatabase } from '../database/database'
import { quota_months, quota_reservations, tenant_settings } from '../database/tables'
import type { Deps } from '../deps'
import type { Limits } from '../quotas/admission'
import { monthOf } from '../quotas/windows'

export type ChatSettings = Limits & {
  readonly default_model: string | null
  readonly system_prompt: string | null
}

const given = sql.placeholder

const queries = oncePerDatabase((database) => ({
  settings: database
    .select({
      default_model: tenant_settings.default_model,
      system_prompt: tenant_settings.system_prompt,
      requests_per_minute: tenant_settings.requests_per_minute,
      monthly_token_quota: tenant_settings.monthly_token_quota,
      counted: quota_months.month,
      // Looks for nothing where no month is counted: the tenant of the joined row is null then.
      first_expiry: sql<Date | null>`(
        select min(${quota_reservations.expires_at}) from ${quota_reservations}
        where ${quota_reservations.tenant_id} = ${quota_months.tenant_id}
      )`.mapWith(quota_reservations.expires_at),
    })
    .from(tenant_settings)
    .leftJoin(
      quota_months,
      and(eq(quota_months.tenant_id, tenant_settings.tenant_id), eq(quota_months.month, given('month'))),
    )
    .where(eq(tenant_settings.tenant_id, given('tenant_id')))
    .prepare('chat_settings'),
}))

/** All that a chat asks of its tenant's settings, limits included, in one query. */
export async function chatSettings({ database, clock }: Deps, tenant_id: string): Promise<ChatSettings> {
  const now = clock.now()
  const month = monthOf(now)
  const [found] = await queries(database).settings.execute({ tenant_id, month: month.name })
  return {
    now,
    default_model: found?.default_model ?? null,
    system_prompt: found?.system_prompt ?? null,
    requests_per_minute: found?.requests_per_minute ?? null,
    monthly_token_quota: found?.monthly_token_quota ?? null,
    month,
    isCounted: found?.counted === month.name,
    hasOverdue: found?.first_expiry != null && found.first_expiry <= now,
  }
}
