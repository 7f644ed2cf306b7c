import type { Database } from '../database/database'
import { AppError } from '../errors'
import { type Clock, newId } from '../ids'
import type { Reporter } from '../reporter'
import { type Limit, rateLimitFields } from './fields'
import { type Count, quotaLedger } from './ledger'
import { openMonth } from './months'
import { reconcileQuotas } from './reconcile'
import { countRequest } from './requests'
import { type Month, minuteOf, secondsLeft } from './windows'

type Deps = {
  readonly database: Database
  readonly clock: Clock
  readonly reporter: Reporter
  readonly limits: { readonly provider: { readonly totalMs: number } }
}

/** What a tenant may use, as its settings say. */
export type Limits = {
  /** When they were read: all that follows counts by this moment, whatever the clock does. */
  readonly now: Date
  readonly requests_per_minute: number | null
  readonly monthly_token_quota: number | null
  /** The current month, and whether its tokens are counted already: once begun, it is counted to its end. */
  readonly month: Month
  readonly isCounted: boolean
  /** True where something is held for a reply that must have ended by now. */
  readonly hasOverdue: boolean
}

/** One chat that may go on. */
export type Admission = {
  /** For the usage record of its reply. */
  readonly usage_id: string
  /** What the answer says of the limits. */
  readonly headers: Record<string, string>
  /** Tells what the chat came to in the end, 0 where nothing was asked. Never throws: what fails is made good later. */
  settle(tokens: number): Promise<void>
}

/** What is held for a reply of unknown length, in tokens. */
export const replyAllowance = 1000
/** Beyond the time that a reply may take. */
const expirySlackMs = 60_000

/**
 * Lets one chat of the tenant in, whose prompt has at least `promptTokens`: throws rate_limited or quota_exceeded. It
 * holds an estimate of the quota until `settle`; a chat is let in while any of it is left, so what is used may exceed
 * the quota by what the replies that run at the same time come to beyond their estimates.
 */
export async function admit(deps: Deps, tenant_id: string, limits: Limits, promptTokens: number): Promise<Admission> {
  const { now, month } = limits
  const usage_id = newId({ now: () => now })
  const left: Limit[] = []
  const headers = () => rateLimitFields(left, now)

  if (limits.requests_per_minute !== null) {
    const [quota, window] = [limits.requests_per_minute, minuteOf(now)]
    const count = await countRequest(deps.database, tenant_id, quota, window)
    left.push({ name: 'requests', quota, window, left: quota - (count ?? quota) })
    if (count === undefined) {
      throw new AppError('rate_limited', 'The tenant has used up the chats of this minute; wait for the next.', {
        retryAfterSeconds: secondsLeft(window, now),
        headers: headers(),
      })
    }
  }
  if (limits.monthly_token_quota === null && !limits.isCounted)
    return { usage_id, headers: headers(), settle: async () => {} }

  const quota = limits.monthly_token_quota ?? Number.MAX_SAFE_INTEGER
  const count = await reserve(deps, tenant_id, limits, { id: usage_id, tokens: promptTokens + replyAllowance, quota })
  if (limits.monthly_token_quota !== null)
    left.push({ name: 'tokens', quota, window: month, left: count ? quota - count.used - count.reserved : 0 })
  if (!count) {
    throw new AppError('quota_exceeded', 'The tenant has used up its tokens of this month; an admin can raise them.', {
      retryAfterSeconds: secondsLeft(month, now),
      headers: headers(),
    })
  }
  return {
    usage_id,
    headers: headers(),
    settle: (spent) =>
      quotaLedger(deps.database)
        .settle(tenant_id, usage_id, spent)
        .catch((error: unknown) => deps.reporter.unexpected(error, { doing: 'settling a token quota', tenant_id })),
  }
}

async function reserve(
  deps: Deps,
  tenant_id: string,
  { now, month, isCounted, hasOverdue }: Limits,
  { id, tokens, quota }: { id: string; tokens: number; quota: number },
): Promise<Count | undefined> {
  if (!isCounted) await openMonth(deps.database, tenant_id, month)
  if (hasOverdue) await reconcileQuotas(deps, tenant_id)
  const expires_at = new Date(now.getTime() + deps.limits.provider.totalMs + expirySlackMs)
  return await quotaLedger(deps.database).reserve({ tenant_id, id, month: month.name, tokens, expires_at }, quota)
}
