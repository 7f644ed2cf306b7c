import { and, asc, count, gt, isNotNull, lte, min, sql } from 'drizzle-orm'
import { type Database, oncePerDatabase } from '../database/database'
import { acrossTenants } from '../database/reach'
import { jobs } from '../database/tables'
import type { Clock } from '../ids'

/** The jobs of all tenants that are not done. No number is above `mostCounted`. */
export type Backlog = {
  /** May be taken now. */
  due: number
  /** Queued for later. */
  waiting: number
  running: number
  /** Given up, until somebody retries them or they are pruned. */
  dead: number
  /** For how long the first of those that are due has been so; 0 where none is. */
  oldestDueSeconds: number
}

/** However long the queue is, whoever asks for its length waits no longer than for this many entries of the index. */
const mostCounted = 10_000
/** Leases are short, so what runs stands before nearly all that waits; these rows are read, which costs more. */
const mostRead = 2000

const queries = oncePerDatabase((database) => {
  const now = sql`${sql.param(sql.placeholder('now'), jobs.due_at)}`
  const [isDue, isLater] = [lte(jobs.due_at, now), gt(jobs.due_at, now)]
  const times = (wanted: typeof isDue) =>
    database
      .select({ due_at: jobs.due_at })
      .from(jobs)
      .where(and(isNotNull(jobs.due_at), wanted))
      .orderBy(asc(jobs.due_at))
      .limit(mostCounted)
  const due = database.$with('due').as(times(isDue))
  const later = database.$with('later').as(times(isLater))
  const next = database.$with('next').as(
    database
      .select({ state: jobs.state })
      .from(jobs)
      .where(and(isNotNull(jobs.due_at), isLater))
      .orderBy(asc(jobs.due_at))
      .limit(mostRead),
  )
  const dead = database.$with('dead').as(
    database
      .select({ id: jobs.id })
      .from(jobs)
      .where(sql`${jobs.state} = 'dead'`) // in the text of the statement, or no plan could rely on the index of these
      .limit(mostCounted),
  )
  return {
    backlog: database
      .with(due, later, next, dead)
      .select({
        due: count(),
        due_since: min(due.due_at),
        later: sql<number>`(select count(*) from ${later})`.mapWith(Number),
        running: sql<number>`(select count(*) from ${next} where ${next.state} = 'running')`.mapWith(Number),
        dead: sql<number>`(select count(*) from ${dead})`.mapWith(Number),
      })
      .from(due)
      .prepare('job_backlog'),
  }
})

/** One statement over all tenants, along the indexes of what is due and what is dead. */
export async function readBacklog({ database, clock }: { database: Database; clock: Clock }): Promise<Backlog> {
  const now = clock.now()
  const counted = () => queries(database).backlog.execute({ now })
  const [found] = await acrossTenants('the queue is one for all tenants', counted)
  const { due = 0, later = 0, running = 0, dead = 0, due_since = null } = found ?? {}
  const oldestDueSeconds = due_since === null ? 0 : Math.max(0, (now.getTime() - due_since.getTime()) / 1000)
  return { due, waiting: later - running, running, dead, oldestDueSeconds }
}
