import { sql } from 'drizzle-orm'
import { oncePerDatabase } from '../database/database'
import { jobs } from '../database/tables'
import { isId, newId } from '../ids'
import type { JobDeps, NewJob } from './job'

const given = sql.placeholder

const queries = oncePerDatabase((database) => ({
  insert: database
    .insert(jobs)
    .values({
      tenant_id: given('tenant_id'),
      id: given('id'),
      kind: given('kind'),
      payload: given('payload'),
      unique_key: given('unique_key'),
      state: 'queued',
      due_at: given('due_at'),
      created_at: given('created_at'),
      updated_at: given('updated_at'),
    })
    .onConflictDoNothing() // its id is new, so what is there already has its key
    .returning({ id: jobs.id })
    .prepare('job_insert'),
}))

/**
 * Queues a job in the caller's transaction: it is there if what caused it is, and not otherwise. Returns its id, or
 * undefined where a job of this kind with this key is there already.
 */
export async function enqueue(deps: JobDeps, tenant_id: string, job: NewJob): Promise<string | undefined> {
  const [queued] = await queries(deps.database).insert.execute(row(deps, tenant_id, job))
  if (queued) announce(deps)
  return queued?.id
}

/** A statement has at most 32,766 parameters on SQLite. */
const rowsAtOnce = 1000

/** As `enqueue`, with one statement for many; returns the ids of those that were not there already. */
export async function enqueueAll(deps: JobDeps, tenant_id: string, all: readonly NewJob[]): Promise<string[]> {
  const { database } = deps
  const rows = all.map((job) => ({ ...row(deps, tenant_id, job), state: 'queued' as const }))
  const ids: string[] = []
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    const some = rows.slice(from, from + rowsAtOnce)
    const queued = await database.insert(jobs).values(some).onConflictDoNothing().returning({ id: jobs.id })
    ids.push(...queued.map(({ id }) => id))
  }
  if (ids.length > 0) announce(deps)
  return ids
}

function row({ clock }: JobDeps, tenant_id: string, { kind, payload, uniqueKey, dueAt }: NewJob) {
  if (!isId(tenant_id)) throw new Error(`A job of the kind ${kind} has no tenant: it is queued for one, never for all.`)
  const now = clock.now()
  return {
    tenant_id,
    id: newId(clock),
    kind,
    payload,
    unique_key: uniqueKey ?? null,
    due_at: dueAt ?? now,
    created_at: now,
    updated_at: now,
  }
}

/** Not before the commit: whoever looks earlier finds nothing. */
const announce = ({ database, jobBell }: JobDeps) => database.afterCommit(() => jobBell.ring())
