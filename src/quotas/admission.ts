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

export const isLimited = ({ requests_per_minute, monthly_token_quota, isCounted }: Limits): boolean =>
  requests_per_minute !== null || monthly_token_quota !== null || isCounted

/**
 * Lets one chat of the tenant in, whose prompt has at least `promptTokens`: throws rate_limited or quota_exceeded. It
 * holds an estimate of the quota until `settle`; a chat is let in while any of it is left, so what is used may exceed
 * the quota by what the replies that run at the same time come to beyond their estimates.
 */
export async function admit(deps: Deps, tenant_id: string, limits: Limits, promptTokens: number): Promise<Admission> {
  const { now, requests_per_minute, monthly_token_quota, month } = limits
  const usage_id = newId({ now: () => now })
  if (!isLimited(limits)) return { usage_id, headers: {}, settle: async () => {} }

  const minute = minuteOf(now)
  const fields = (requestsLeft: number | undefined, tokensLeft: number | undefined) => {
    const all: Limit[] = []
    if (requests_per_minute !== null)
      all.push({ name: 'requests', quota: requests_per_minute, window: minute, left: requestsLeft })
    if (monthly_token_quota !== null)
      all.push({ name: 'tokens', quota: monthly_token_quota, window: month, left: tokensLeft })
    return rateLimitFields(all, now)
  }

  let requestsLeft: number | undefined
  if (requests_per_minute !== null) {
    const count = await countRequest(deps.database, tenant_id, requests_per_minute, minute)
    if (count === undefined) {
      throw new AppError('rate_limited', 'The tenant has used up the chats of this minute; wait for the next.', {
        retryAfterSeconds: secondsLeft(minute, now),
        headers: fields(0, undefined),
      })
    }
    requestsLeft = requests_per_minute - count
  }
  if (monthly_token_quota === null && !limits.isCounted)
    return { usage_id, headers: fields(requestsLeft, undefined), settle: async () => {} }

  const quota = monthly_token_quota ?? Number.MAX_SAFE_INTEGER
  const expires_at = new Date(now.getTime() + deps.limits.provider.totalMs + expirySlackMs)
  const tokens = promptTokens + replyAllowance
  const reservation = { tenant_id, id: usage_id, month: month.name, tokens, expires_at }
  if (!limits.isCounted) await openMonth(deps.database, tenant_id, month)
  const count = await reserve()
  if (!count) {
    throw new AppError(
      'quota_exceeded',
      'The tenant has used up its tokens of this month; an admin can raise the quota.',
      {
        retryAfterSeconds: secondsLeft(month, now),
        headers: fields(requestsLeft, 0),
      },
    )
  }
  return { usage_id, headers: fields(requestsLeft, quota - count.used - count.reserved), settle }

  async function reserve(): Promise<Count | undefined> {
    if (limits.hasOverdue) await reconcileQuotas(deps, tenant_id)
    return await quotaLedger(deps.database).reserve(reservation, quota)
  }

  async function settle(spent: number): Promise<void> {
    await quotaLedger(deps.database)
      .settle(tenant_id, usage_id, spent)
      .catch((error: unknown) => deps.reporter.unexpected(error, { doing: 'settling a token quota', tenant_id }))
  }
}
