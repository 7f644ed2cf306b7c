import type { Database } from '../database/database'
import type { Clock } from '../ids'
import type { Lifetime } from '../lifetime'
import type { Reporter } from '../reporter'
import { type AttemptDeps, attempt, type JobEnd } from './attempt'
import type { JobBell, JobKind } from './job'
import { type LeaseTable, leaseTable } from './leases'
import { ensureSchedules, queueDueSchedules, type TenantSchedule } from './schedules'
import { bringBack } from './set-back'

export type WorkerDeps = {
  readonly database: Database
  readonly clock: Clock
  readonly jobBell: JobBell
  readonly lifetime: Lifetime
  readonly reporter: Reporter
}

export type WorkerOptions = {
  readonly kinds: readonly JobKind[]
  /** Recurring work that every active tenant has. */
  readonly everyTenant?: readonly TenantSchedule[]
  /** How many jobs this worker runs at the same time. */
  readonly concurrency?: number
  /** How long a job is this worker's without a sign of life: afterwards others take it. Extended three times as often. */
  readonly leaseMs?: number
  /** How often it looks for what nobody rang for: what is due later, what other processes queued. */
  readonly pollMs?: number
  /** Hears of every attempt once it is over. */
  readonly onAttempt?: (kind: string, end: JobEnd) => void
  /** 0 to 1; chance, if not given. */
  readonly random?: () => number
}

/** Those who work off one queue side by side. */
type Crew = { readonly working: Set<Promise<void>>; onFailure(error: unknown): void }

/** How often tenants that were created since are given the schedules that every tenant has. */
const ensureEveryMs = 60_000

/** Runs jobs in this process. Others may do the same on the same database: a job is one worker's at a time. */
export class JobWorker {
  readonly #kinds: ReadonlyMap<string, JobKind>
  readonly #leases: LeaseTable
  readonly #attempts: AttemptDeps
  readonly #crew: Crew = { working: new Set(), onFailure: (error) => this.#complain(error) }
  #loop: Promise<void> | undefined
  #draining = false
  #isFailing = false
  #wake: () => void = () => {}

  constructor(
    private readonly deps: WorkerDeps,
    private readonly options: WorkerOptions,
  ) {
    const { kinds, leaseMs = 60_000, random = Math.random } = options
    this.#kinds = new Map(kinds.map((kind) => [kind.name, kind]))
    if (this.#kinds.size < kinds.length) throw new Error('Two kinds of jobs have the same name.')
    this.#leases = leaseTable(deps.database, [...this.#kinds.keys()])
    const { clock, reporter, lifetime } = deps
    this.#attempts = { clock, reporter, leases: this.#leases, leaseMs, random, cutoff: lifetime.cutoff }
  }

  /** Runs what is due, and what becomes due by that; resolves when all of it is done. */
  async runDue(): Promise<void> {
    await queueDueSchedules(this.deps)
    const failures: unknown[] = []
    const crew: Crew = { working: new Set(), onFailure: (error) => void failures.push(error) }
    this.#hire(crew)
    while (crew.working.size > 0) await Promise.all(crew.working)
    if (failures.length > 0) throw failures[0]
  }

  /** From now on runs what becomes due, until `drain`. */
  start(): void {
    this.deps.jobBell.onRing(() => this.#wake())
    this.#loop ??= this.#keepLooking()
  }

  /** Begins no more jobs; resolves when the running ones have ended, or were given back at the lifetime's cutoff. */
  async drain(): Promise<void> {
    this.#draining = true
    this.#wake()
    await this.#loop
    while (this.#crew.working.size > 0) await Promise.all(this.#crew.working)
  }

  /** Brings back the jobs and schedules that wait for a time which only a wrong clock had said. */
  async bringBack(): Promise<void> {
    await bringBack(this.deps, this.#attempts.leaseMs)
  }

  /** Gives active tenants the schedules that every tenant has, where they do not have them yet. */
  async ensureSchedules(): Promise<void> {
    await ensureSchedules(this.deps, this.options.everyTenant ?? [])
  }

  async #keepLooking(): Promise<void> {
    let ensuredAt = Number.NEGATIVE_INFINITY
    let lookedAt = new Date(0)
    while (!this.#draining) {
      const rung = Promise.withResolvers<void>()
      this.#wake = rung.resolve // before it looks: what is queued while it does is not missed
      try {
        const now = this.deps.clock.now()
        if (now < lookedAt || performance.now() - ensuredAt >= ensureEveryMs) {
          await this.bringBack()
          await this.ensureSchedules()
          ensuredAt = performance.now()
        }
        lookedAt = now
        await queueDueSchedules(this.deps)
        this.#hire(this.#crew)
        this.#isFailing = false
      } catch (error) {
        this.#complain(error)
      }
      // Processes that were started together do not look together for ever.
      const pollMs = (this.options.pollMs ?? 1000) * (0.75 + 0.5 * Math.random())
      const timer = setTimeout(rung.resolve, pollMs)
      await rung.promise
      clearTimeout(timer)
    }
  }

  /** One more of at most `concurrency` works until nothing is due. Whoever finds a job has the next one look, too. */
  #hire(crew: Crew): void {
    const { working, onFailure } = crew
    if (this.#draining || working.size >= (this.options.concurrency ?? 5)) return
    const work = this.#work(crew)
      .catch(onFailure)
      .finally(() => working.delete(work))
    working.add(work)
  }

  async #work(crew: Crew): Promise<void> {
    const { clock } = this.deps
    while (!this.#draining) {
      const now = clock.now()
      const job = await this.#leases.claim(now, new Date(now.getTime() + this.#attempts.leaseMs))
      const kind = job && this.#kinds.get(job.kind)
      if (!job || !kind) return
      this.#hire(crew)
      const end = await attempt(this.#attempts, kind, job)
      this.options.onAttempt?.(kind.name, end)
    }
  }

  /** Once for each outage: a database that is gone is gone every second. */
  #complain(error: unknown): void {
    if (!this.#isFailing) this.deps.reporter.unexpected(error, { doing: 'looking for jobs' })
    this.#isFailing = true
  }
}
