import { sql } from 'drizzle-orm'
import { type Database, oncePerDatabase } from '../database/database'
import { request_windows } from '../database/tables'
import { later, type Window } from './windows'

const given = sql.placeholder
const { starts_at, count } = request_windows
const minute = sql`${sql.param(given('minute'), starts_at)}`
const next = sql`${sql.param(given('next'), starts_at)}`

/**
 * The kept minute is over; or it is so far ahead that the clock must have been set back. One minute ahead is another
 * process whose clock is a little faster, and both count in that minute.
 */
const isAnother = sql`(${starts_at} < ${minute} or ${starts_at} > ${next})`

const queries = oncePerDatabase((database) => ({
  count: database
    .insert(request_windows)
    .values({ tenant_id: given('tenant_id'), starts_at: given('minute'), count: 1 })
    .onConflictDoUpdate({
      target: request_windows.tenant_id,
      set: {
        starts_at: sql`case when ${isAnother} then ${minute} else ${starts_at} end`,
        count: sql`case when ${isAnother} then 1 else ${count} + 1 end`,
      },
      setWhere: sql`${isAnother} or ${count} < ${given('limit')}`,
    })
    .returning({ count })
    .prepare('request_count'),
}))

/**
 * Counts one request of the tenant's minute; undefined, and nothing counted, where there were `limit` already.
 * One statement and in no transaction: whoever comes at the same time waits for the row and then sees the newest count.
 */
export async function countRequest(
  database: Database,
  tenant_id: string,
  limit: number,
  { startsAt }: Window,
): Promise<number | undefined> {
  const [counted] = await queries(database).count.execute({
    tenant_id,
    limit,
    minute: startsAt,
    next: later(startsAt),
  })
  return counted?.count
}
