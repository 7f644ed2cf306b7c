import { and, asc, eq, gte } from 'drizzle-orm'
import { sumOf } from '../database/aggregates'
import { insertAll } from '../database/bulk'
import type { Database } from '../database/database'
import {
  message_days,
  route_days,
  tenant_days,
  tenant_settings,
  tenants,
  usage_days,
  user_days,
} from '../database/tables'
import { recountMessages, recountRequests, recountUsage, type UsageDay, usageKey } from './recount'
import { addTally, type Counters, routeKey } from './rollup'
import { encode, type Sketch } from './sketch'

/** Of a rollup that says something else than the records: what it keeps and what they add up to, undefined where there is none. */
export type Difference = { rollup: string; key: string; kept: string | undefined; counted: string | undefined }

export const inWords = ({ rollup, key, kept = 'nothing', counted = 'nothing' }: Difference): string =>
  `${rollup} ${key}: kept ${kept}, counted ${counted}`

export const tenantsToVerify = (database: Database): Promise<{ id: string; slug: string }[]> =>
  database.select({ id: tenants.id, slug: tenants.slug }).from(tenants).orderBy(asc(tenants.slug))

/**
 * Adds up all request and usage records again and compares the sums with the rollups, to the unit. Left out is what can
 * not be added up any more: days whose request records may have been deleted, and messages of deleted conversations.
 * All in one transaction, so it may run while the service does.
 */
export async function verifyRollups(database: Database, tenant_id: string): Promise<Difference[]> {
  return await database.transaction(async () => {
    const since = await prunedBefore(database, tenant_id)
    const counted = await recountRequests(database, tenant_id, since)
    const kept = await keptRequests(database, tenant_id, since)
    return [
      ...differences('tenant_days', kept.days, shown(counted.days)),
      ...differences('route_days', kept.routes, shown(counted.routes)),
      ...differences('user_days', kept.users, shown(counted.users)),
      ...differences(
        'usage_days',
        await keptUsage(database, tenant_id),
        shownUsage(await recountUsage(database, tenant_id)),
      ),
      ...(await missingMessages(database, tenant_id)).map(({ day, kept, stored }) => ({
        rollup: 'message_days',
        key: day,
        kept: `${kept} messages`,
        counted: `${stored} messages`,
      })),
    ]
  })
}

/** Writes what the records add up to over the rollups, as far as it can be added up. */
export async function repairRollups(database: Database, tenant_id: string): Promise<void> {
  await database.transaction(async () => {
    const since = await prunedBefore(database, tenant_id)
    for (const table of [tenant_days, route_days, user_days])
      await database.delete(table).where(and(eq(table.tenant_id, tenant_id), gte(table.day, since ?? '')))
    await addTally(database, tenant_id, await recountRequests(database, tenant_id, since))
    await database.delete(usage_days).where(eq(usage_days.tenant_id, tenant_id))
    const usage = await recountUsage(database, tenant_id)
    await insertAll(
      usage_days,
      [...usage.values()].map((row) => ({ ...row, shard: 0 })),
    )
    const missing = await missingMessages(database, tenant_id)
    await insertAll(
      message_days,
      missing.map(({ day, kept, stored }) => ({ tenant_id, day, shard: 0, message_count: stored - kept })),
      { key: ['tenant_id', 'day', 'shard'], add: ['message_count'] },
    )
  })
}

async function prunedBefore(database: Database, tenant_id: string): Promise<string | undefined> {
  const [settings] = await database
    .select({ before: tenant_settings.requests_pruned_before })
    .from(tenant_settings)
    .where(eq(tenant_settings.tenant_id, tenant_id))
  return settings?.before ?? undefined
}

async function keptRequests(database: Database, tenant_id: string, since = '') {
  const of = <T extends typeof tenant_days | typeof route_days | typeof user_days>(table: T) =>
    and(eq(table.tenant_id, tenant_id), gte(table.day, since))
  const days = await database.select().from(tenant_days).where(of(tenant_days))
  const routes = await database.select().from(route_days).where(of(route_days))
  const users = await database.select().from(user_days).where(of(user_days))
  return {
    days: new Map(days.map((row) => [row.day, show(row)])),
    routes: new Map(routes.map((row) => [routeKey(row), show(row)])),
    users: new Map(users.map((row) => [`${row.day} ${row.user_id}`, show(row)])),
  }
}

const shown = (rows: Map<string, Counters & { latency?: Sketch }>) =>
  new Map(
    [...rows].map(([key, { latency, ...row }]) => [
      key,
      show({ ...row, ...(latency && { latency: encode(latency) }) }),
    ]),
  )

/** A sketch has hundreds of numbers; that they differ is enough to know. */
const show = ({ request_count, error_count, duration_us, latency }: Counters & { latency?: string }): string =>
  `${request_count} requests, ${error_count} errors, ${duration_us} µs${latency === undefined ? '' : `, latency #${Bun.hash(latency).toString(36)}`}`

async function keptUsage(database: Database, tenant_id: string): Promise<Map<string, string>> {
  const rows = await database.select().from(usage_days).where(eq(usage_days.tenant_id, tenant_id))
  const days = new Map<string, UsageDay>()
  for (const row of rows) {
    const known = days.get(usageKey(row))
    const add = (name: 'reply_count' | 'prompt_tokens' | 'completion_tokens' | 'estimated_tokens') =>
      (known?.[name] ?? 0) + row[name]
    days.set(usageKey(row), {
      ...row,
      reply_count: add('reply_count'),
      prompt_tokens: add('prompt_tokens'),
      completion_tokens: add('completion_tokens'),
      estimated_tokens: add('estimated_tokens'),
    })
  }
  return shownUsage(days)
}

const shownUsage = (days: Map<string, UsageDay>) =>
  new Map(
    [...days].map(([key, { reply_count, prompt_tokens, completion_tokens, estimated_tokens }]) => [
      key,
      `${reply_count} replies, ${prompt_tokens} + ${completion_tokens} tokens, ${estimated_tokens} estimated`,
    ]),
  )

async function missingMessages(database: Database, tenant_id: string) {
  const rows = await database
    .select({ day: message_days.day, kept: sumOf(message_days.message_count) })
    .from(message_days)
    .where(eq(message_days.tenant_id, tenant_id))
    .groupBy(message_days.day)
  const kept = new Map(rows.map((row) => [row.day, row.kept]))
  return [...(await recountMessages(database, tenant_id))]
    .map(([day, stored]) => ({ day, stored, kept: kept.get(day) ?? 0 }))
    .filter((row) => row.kept < row.stored)
}

function differences(rollup: string, kept: Map<string, string>, counted: Map<string, string>): Difference[] {
  return [...new Set([...kept.keys(), ...counted.keys()])]
    .sort()
    .map((key) => ({ rollup, key, kept: kept.get(key), counted: counted.get(key) }))
    .filter((row) => row.kept !== row.counted)
}
