import { and, asc, eq, inArray, lte, type SQL, sql } from 'drizzle-orm'
import type { Database } from '../database/database'
import { dialect } from '../database/dialect'
import { acrossTenants } from '../database/reach'
import { jobs, tenants } from '../database/tables'

/** A hold on a job for some time: only who has it may say how the job ended. */
export type Lease = { readonly tenant_id: string; readonly id: string; readonly lease_id: string }

export type LeasedJob = Lease & {
  readonly kind: string
  readonly payload: Record<string, unknown>
  /** This attempt included. */
  readonly attempts: number
  /** Null where there is no such tenant. */
  readonly tenant_is_active: boolean | null
}

/** How a job ended that was not finished, or until when it goes on. */
type Change = {
  state: 'running' | 'queued' | 'dead'
  due_at?: Date
  attempts?: number
  last_error?: string | null
}

const given = (name: string, column: typeof jobs.due_at | typeof jobs.lease_id) =>
  sql`${sql.param(sql.placeholder(name), column)}`

/** Who holds what, of the jobs of these kinds: those of other kinds are left to processes that know them. */
export function leaseTable(database: Database, kinds: readonly string[]) {
  const now = given('now', jobs.due_at)
  const due = database
    .select({ tenant_id: jobs.tenant_id, id: jobs.id })
    .from(jobs)
    .where(and(lte(jobs.due_at, now), inArray(jobs.kind, [...kinds])))
    .orderBy(asc(jobs.due_at))
    .limit(1)
  // Two processes that look at the same moment find two jobs, and neither waits. SQLite has one writer, who sees all.
  const first = database.$with('first').as(dialect === 'postgres' ? due.for('update', { skipLocked: true }) : due)
  const claim = database
    .with(first)
    .update(jobs)
    .set({
      state: 'running',
      lease_id: given('lease_id', jobs.lease_id),
      due_at: given('until', jobs.due_at),
      attempts: sql`${jobs.attempts} + 1`, // here, so that a job that ends its process has its attempts counted, too
      updated_at: now,
    })
    .where(sql`(${jobs.tenant_id}, ${jobs.id}) in (select tenant_id, id from ${first})`)
    .returning({
      tenant_id: jobs.tenant_id,
      id: jobs.id,
      lease_id: sql<string>`${jobs.lease_id}`,
      kind: jobs.kind,
      payload: jobs.payload,
      attempts: jobs.attempts,
      tenant_is_active: isActive,
    })
    .prepare('job_claim')
  const finish = database
    .update(jobs)
    .set({ state: 'done', due_at: null, lease_id: null, last_error: null, updated_at: now })
    .where(
      and(
        eq(jobs.tenant_id, sql.placeholder('tenant_id')),
        eq(jobs.id, sql.placeholder('id')),
        eq(jobs.lease_id, sql.placeholder('lease_id')),
        eq(jobs.state, 'running'),
      ),
    )
    .returning({ id: jobs.id })
    .prepare('job_finish')

  return {
    /**
     * The job that has been due for the longest time, leased until then; undefined where none is due. A job whose lease
     * is over counts as due. One statement outside of any transaction: serializable ones would clash here.
     */
    async claim(now: Date, until: Date): Promise<LeasedJob | undefined> {
      if (kinds.length === 0) return undefined
      const [job] = await ofAll(() => claim.execute({ now, until, lease_id: Bun.randomUUIDv7() }))
      return job
    },

    /** The job is done. False, and nothing is changed, where the lease is somebody else's by now. */
    async finish({ tenant_id, id, lease_id }: Lease, now: Date): Promise<boolean> {
      return (await ofAll(() => finish.execute({ tenant_id, id, lease_id, now }))).length > 0
    },

    /** Any other end, or that it goes on. False as with `finish`. */
    async change({ tenant_id, id, lease_id }: Lease, { state, ...change }: Change, now: Date): Promise<boolean> {
      const changed = await ofAll(() =>
        database
          .update(jobs)
          .set({
            ...change,
            state,
            ...(state === 'dead' && { due_at: null }),
            ...(state !== 'running' && { lease_id: null }),
            updated_at: now,
          })
          .where(
            and(eq(jobs.tenant_id, tenant_id), eq(jobs.id, id), eq(jobs.lease_id, lease_id), eq(jobs.state, 'running')),
          )
          .returning({ id: jobs.id }),
      )
      return changed.length > 0
    },
  }
}

const ofAll = <T>(work: () => PromiseLike<T>): Promise<T> =>
  acrossTenants('workers take the jobs of all tenants from one queue', work)

export type LeaseTable = ReturnType<typeof leaseTable>

const isActive: SQL<boolean | null> =
  sql`(select ${tenants.is_active} from ${tenants} where ${tenants.id} = ${jobs.tenant_id})`.mapWith(Boolean)
