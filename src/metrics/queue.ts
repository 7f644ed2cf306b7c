import { and, asc, gt, isNotNull, lte, min, sql } from 'drizzle-orm'
import { countOf } from '../database/aggregates'
import { type Database, oncePerDatabase } from '../database/database'
import { jobs } from '../database/tables'
import type { Clock } from '../ids'

/** The jobs of all tenants that are not over. Each number is at most `mostCounted`. */
export type Backlog = {
  /** May be taken now. */
  due: number
  /** Queued for later. */
  waiting: number
  running: number
  /** For how long the first of those that are due has been so; 0 where none is. */
  oldestDueSeconds: number
}

/** However long the queue is, whoever asks for its length waits no longer than for this many entries of the index. */
export const mostCounted = 10_000

const queries = oncePerDatabase((database) => {
  const now = sql`${sql.param(sql.placeholder('now'), jobs.due_at)}`
  const some = (wanted: ReturnType<typeof lte>) =>
    database
      .select({ state: jobs.state, due_at: jobs.due_at })
      .from(jobs)
      .where(and(isNotNull(jobs.due_at), wanted))
      .orderBy(asc(jobs.due_at))
      .limit(mostCounted)
  const due = database.$with('due').as(some(lte(jobs.due_at, now)))
  // Leases are short, so what runs stands before nearly all that waits.
  const later = database.$with('later').as(some(gt(jobs.due_at, now)))
  const laterIn = (state: 'queued' | 'running') =>
    sql<number>`(select count(*) from ${later} where ${later.state} = ${state})`.mapWith(Number)
  return {
    backlog: database
      .with(due, later)
      .select({
        due: countOf(sql`*`),
        due_since: min(due.due_at),
        waiting: laterIn('queued'),
        running: laterIn('running'),
      })
      .from(due)
      .prepare('job_backlog'),
  }
})

/** One statement over all tenants, along the index of what is due. */
export async function readBacklog({ database, clock }: { database: Database; clock: Clock }): Promise<Backlog> {
  const now = clock.now()
  const [found] = await queries(database).backlog.execute({ now })
  const { due = 0, waiting = 0, running = 0, due_since = null } = found ?? {}
  const oldestDueSeconds = due_since === null ? 0 : Math.max(0, (now.getTime() - due_since.getTime()) / 1000)
  return { due, waiting, running, oldestDueSeconds }
}
