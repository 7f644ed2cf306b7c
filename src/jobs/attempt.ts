import { Value } from '@sinclair/typebox/value'
import { asTenant } from '../database/reach'
import type { Clock } from '../ids'
import { isId } from '../ids'
import type { Reporter } from '../reporter'
import { JobTimeout, verdict, words } from './failure'
import type { JobKind } from './job'
import type { LeasedJob, LeaseTable } from './leases'

export type AttemptDeps = {
  readonly clock: Clock
  readonly reporter: Reporter
  readonly leases: LeaseTable
  readonly leaseMs: number
  /** 0 to 1. */
  readonly random: () => number
  /** Aborted when the process must end now. */
  readonly cutoff: AbortSignal
}

/** How an attempt ended: `retried` later by itself; `lost` to another worker; `interrupted`, for the process ends. */
export type JobEnd = 'done' | 'retried' | 'dead' | 'lost' | 'interrupted'

/** Why an attempt ends before its work does. */
type Interruption = 'late' | 'lost' | 'ending'

/** Runs a leased job to its end, whatever that is, and writes it down. Rejects only where the database does not take it. */
export async function attempt(deps: AttemptDeps, kind: JobKind, job: LeasedJob): Promise<JobEnd> {
  const { clock, reporter, leases } = deps
  const report = (message: string, error?: string) =>
    reporter.warn(message, { kind: job.kind, job: job.id, tenant: job.tenant_id, attempt: job.attempts, error })
  const written = async (end: JobEnd, change: Promise<boolean>): Promise<JobEnd> => {
    if (await change) return end
    report('A job had been given to another worker before it ended here.')
    return 'lost'
  }
  const ends = (end: JobEnd, change: Parameters<LeaseTable['change']>[1]) =>
    written(end, leases.change(job, change, clock.now()))

  const refusal = refusalOf(kind, job)
  if (refusal !== undefined) {
    report('A job was refused and is dead.', refusal)
    return ends('dead', { state: 'dead', attempts: Math.min(job.attempts, kind.mostAttempts), last_error: refusal })
  }

  const ended = await run(deps, kind, job)
  if (ended === 'done') return written('done', leases.finish(job, clock.now()))
  if (ended === 'lost') {
    report('A job was given to another worker while it ran here.')
    return 'lost'
  }
  // It is not the job's fault, so the attempt does not count.
  if (ended === 'ending')
    return ends('interrupted', { state: 'queued', due_at: clock.now(), attempts: job.attempts - 1 })
  const last_error = words(ended.error)
  const next = verdict(kind, job.attempts, ended.error, deps.random())
  report(next.state === 'dead' ? 'A job failed and is dead.' : 'A job failed and is tried again.', last_error)
  if (next.state === 'dead') return ends('dead', { state: 'dead', last_error })
  return await ends('retried', { state: 'queued', due_at: new Date(clock.now().getTime() + next.afterMs), last_error })
}

/** Why a job is not even begun. Its tenant comes first: without one it would run for all. */
function refusalOf(kind: JobKind, { tenant_id, tenant_is_active, payload, attempts }: LeasedJob): string | undefined {
  if (!isId(tenant_id) || tenant_is_active === null) return 'It has no tenant: a job never runs for all.'
  if (!tenant_is_active) return 'Its tenant is out of service.'
  if (attempts > kind.mostAttempts) return 'Every attempt ended with its process or its lease.'
  const [wrong] = Value.Errors(kind.payload, payload)
  return wrong && `Its payload is not what the kind takes, at ${wrong.path || '/'}.`
}

type Ended = 'done' | 'lost' | 'ending' | { readonly error: unknown }

async function run(
  { clock, reporter, leases, leaseMs, cutoff }: AttemptDeps,
  kind: JobKind,
  job: LeasedJob,
): Promise<Ended> {
  const interrupted = Promise.withResolvers<Interruption>()
  const controller = new AbortController()
  const interrupt = (why: Interruption) => {
    interrupted.resolve(why)
    controller.abort(why === 'late' ? new JobTimeout(`It took longer than ${kind.timeoutMs} ms.`) : new Error(why))
  }

  let leasedUntil = clock.now().getTime() + leaseMs
  const beat = async (): Promise<void> => {
    const now = clock.now()
    const until = now.getTime() + leaseMs
    try {
      if (await leases.change(job, { state: 'running', due_at: new Date(until) }, now)) leasedUntil = until
      else interrupt('lost')
    } catch (error) {
      reporter.unexpected(error, { doing: 'extending the lease of a job', job: job.id })
      // Others see a lease that is over, and take the job.
      if (clock.now().getTime() >= leasedUntil) interrupt('lost')
    }
  }
  let beating: Promise<void> | undefined
  const pulse = setInterval(() => {
    beating ??= beat().finally(() => {
      beating = undefined
    })
  }, leaseMs / 3)
  const late = setTimeout(interrupt, kind.timeoutMs, 'late')
  const ending = () => interrupt('ending')
  cutoff.addEventListener('abort', ending)
  if (cutoff.aborted) ending()

  const context = { tenant_id: job.tenant_id, id: job.id, attempt: job.attempts, signal: controller.signal }
  const work = async (): Promise<'done'> => {
    controller.signal.throwIfAborted()
    await asTenant(job.tenant_id, () => kind.run(job.payload, context))
    return 'done'
  }
  try {
    const how = await Promise.race([work(), interrupted.promise])
    return how === 'late' ? { error: controller.signal.reason } : how
  } catch (error) {
    if (!controller.signal.aborted) return { error }
    // Work that heard of its interruption threw before we looked.
    const how = await interrupted.promise
    return how === 'late' ? { error: controller.signal.reason } : how
  } finally {
    clearInterval(pulse)
    clearTimeout(late)
    cutoff.removeEventListener('abort', ending)
    await beating
  }
}
