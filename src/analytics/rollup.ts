import { and, eq, gte, inArray, lte, sql } from 'drizzle-orm'
import { insertAll } from '../database/bulk'
import { type Database, oncePerDatabase } from '../database/database'
import { request_records, route_days, tenant_days, user_days } from '../database/tables'
import { dayMs, dayOf } from '../day'
import { found, within } from '../found'
import { addTo, bucketOf, encode, merge, type Sketch } from './sketch'

/** One request of a known caller, as it is kept. */
export type RequestRecord = typeof request_records.$inferInsert

/** An answer with one of these statuses is an error, whosever fault it is. */
export const isError = (status: number): boolean => status >= 400

export type Counters = { request_count: number; error_count: number; duration_us: number }
type Timed = Counters & { latency: Sketch }

/** What request records of one tenant add up to, by day, by day and route, by day and user. */
export type Tally = {
  days: Map<string, { day: string } & Timed>
  routes: Map<string, { day: string; method: string; route: string } & Timed>
  users: Map<string, { day: string; user_id: string } & Counters>
}

export const newTally = (): Tally => ({ days: new Map(), routes: new Map(), users: new Map() })

export function count(tally: Tally, records: readonly RequestRecord[]): Tally {
  const rowsOf = rowsIn(tally)
  for (const record of records) {
    const { ofDay, ofRoute, ofUser } = rowsOf(record)
    const failed = isError(record.status) ? 1 : 0
    const { duration_us } = record
    countIn(ofDay, failed, duration_us)
    countIn(ofRoute, failed, duration_us)
    countIn(ofUser, failed, duration_us)
    const bucket = bucketOf(duration_us)
    addTo(ofDay.latency, bucket, 1)
    addTo(ofRoute.latency, bucket, 1)
  }
  return tally
}

type Rows = { day: number; ofDay: Timed; ofRoute: Timed; ofUser: Counters }

/** The rows that a record counts in. Looked up by what it says of itself, because to join keys takes longer than to count. */
function rowsIn({ days, routes, users }: Tally): (record: RequestRecord) => Rows {
  const known = new Map<string, Map<string, Map<string, Rows>>>()
  return ({ created_at, method, route, user_id }) => {
    const ofRoute = within(within(known, user_id), route)
    const number = Math.floor(created_at.getTime() / dayMs)
    const before = ofRoute.get(method)
    if (before?.day === number) return before
    const day = dayOf(created_at)
    const rows = {
      day: number,
      ofDay: found(days, day, () => ({ day, ...none, latency: [] })),
      ofRoute: found(routes, routeKey({ day, method, route }), () => ({ day, method, route, ...none, latency: [] })),
      ofUser: found(users, `${day} ${user_id}`, () => ({ day, user_id, ...none })),
    }
    ofRoute.set(method, rows)
    return rows
  }
}

function countIn(row: Counters, failed: number, duration_us: number): void {
  row.request_count++
  row.error_count += failed
  row.duration_us += duration_us
}

const none: Counters = { request_count: 0, error_count: 0, duration_us: 0 }

export const routeKey = ({ day, method, route }: { day: string; method: string; route: string }) =>
  `${day} ${method} ${route}`

/**
 * Stores request records of one tenant and adds them to its rollups, in one transaction: there are never the ones without
 * the others. `mayBeThere` where an attempt before may have come to its end without telling: what is stored is not
 * counted again.
 */
export async function storeRecords(
  database: Database,
  tenant_id: string,
  records: readonly RequestRecord[],
  { mayBeThere = false } = {},
): Promise<void> {
  await database.transaction(async () => {
    const fresh = mayBeThere ? await notStored(database, tenant_id, records) : records
    if (fresh.length === 0) return
    await insertAll(request_records, fresh)
    await addTally(database, tenant_id, count(newTally(), fresh))
  })
}

async function notStored(database: Database, tenant_id: string, records: readonly RequestRecord[]) {
  const ids = records.map(({ id }) => id)
  const stored = await database
    .select({ id: request_records.id })
    .from(request_records)
    .where(and(eq(request_records.tenant_id, tenant_id), inArray(request_records.id, ids)))
  const known = new Set(stored.map(({ id }) => id))
  return records.filter(({ id }) => !known.has(id))
}

/** Adds to the rollups. Sketches are read and written back, which is safe because transactions behave as if one came after the other. */
export async function addTally(database: Database, tenant_id: string, { days, routes, users }: Tally): Promise<void> {
  const kept = await keptSketches(database, tenant_id, [...days.keys()])
  const add = ['request_count', 'error_count', 'duration_us'] as const
  const withLatency = <Row extends { latency: Sketch }>(row: Row, before: string | undefined) => ({
    ...row,
    tenant_id,
    latency: encode(before === undefined ? row.latency : merge([...row.latency], before)),
  })
  // In the order of their keys, or two processes could wait for each other.
  await insertAll(
    tenant_days,
    inOrder(days).map(([day, row]) => withLatency(row, kept.days.get(day))),
    { key: ['tenant_id', 'day'], add: [...add], replace: ['latency'] },
  )
  await insertAll(
    route_days,
    inOrder(routes).map(([key, row]) => withLatency(row, kept.routes.get(key))),
    { key: ['tenant_id', 'day', 'method', 'route'], add: [...add], replace: ['latency'] },
  )
  await insertAll(
    user_days,
    inOrder(users).map(([, row]) => ({ ...row, tenant_id })),
    { key: ['tenant_id', 'day', 'user_id'], add: [...add] },
  )
}

const inOrder = <Row>(rows: Map<string, Row>): [string, Row][] =>
  [...rows].sort(([one], [other]) => (one < other ? -1 : 1))

const given = sql.placeholder

const queries = oncePerDatabase((database) => ({
  ofDays: database
    .select({ day: tenant_days.day, latency: tenant_days.latency })
    .from(tenant_days)
    .where(
      and(
        eq(tenant_days.tenant_id, given('tenant_id')),
        gte(tenant_days.day, given('first')),
        lte(tenant_days.day, given('last')),
      ),
    )
    .prepare('tenant_days_latency'),
  ofRoutes: database
    .select({ day: route_days.day, method: route_days.method, route: route_days.route, latency: route_days.latency })
    .from(route_days)
    .where(
      and(
        eq(route_days.tenant_id, given('tenant_id')),
        gte(route_days.day, given('first')),
        lte(route_days.day, given('last')),
      ),
    )
    .prepare('route_days_latency'),
}))

async function keptSketches(database: Database, tenant_id: string, days: readonly string[]) {
  const sorted = days.toSorted()
  const range = { tenant_id, first: sorted.at(0) ?? '', last: sorted.at(-1) ?? '' }
  const ofDays = await queries(database).ofDays.execute(range)
  const ofRoutes = await queries(database).ofRoutes.execute(range)
  return {
    days: new Map(ofDays.map(({ day, latency }) => [day, latency])),
    routes: new Map(ofRoutes.map((row) => [routeKey(row), row.latency])),
  }
}
