import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Observation } from '../analytics/hook'
import { inTime } from '../in-time'
import type { JobEnd } from '../jobs/attempt'
import { attemptOutcomes, type ProviderAttempt } from '../providers/ask'
import type { Sources } from './metrics'
import { registerProcess } from './process'
import type { Backlog } from './queue'

export type Instruments = {
  request(seen: Observation): void
  providerAttempt(attempt: ProviderAttempt): void
  jobAttempt(kind: string, end: JobEnd): void
  text(): Promise<string>
}

/** Upper bounds in seconds: a read takes milliseconds, a reply up to minutes. */
const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120]
const replyBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120]

/** How long the database may take to count jobs, in ms; then the answer goes without them. */
const patienceMs = 1000

/** A registry of its own for each app: a process that builds many counts each by itself. */
export function openInstruments(sources: Sources): Instruments {
  const registry = new Registry()
  const registers = [registry]
  const requests = new Histogram({
    name: 'tenantry_http_request_duration_seconds',
    help: 'Requests by method, declared route and class of their status, until the answer or the end of its stream.',
    labelNames: ['method', 'route', 'status'],
    buckets: requestBuckets,
    registers,
  })
  const attempts = new Histogram({
    name: 'tenantry_provider_attempt_duration_seconds',
    help: 'Attempts to get a reply from the model provider, by how they ended.',
    labelNames: ['outcome'],
    buckets: replyBuckets,
    registers,
  })
  // From the beginning, so that the first failure is an increase.
  for (const outcome of attemptOutcomes) attempts.zero({ outcome })
  const firstPieces = new Histogram({
    name: 'tenantry_provider_first_piece_seconds',
    help: 'Time until the provider sent the first piece of a reply.',
    buckets: replyBuckets,
    registers,
  })
  const ended = new Counter({
    name: 'tenantry_job_attempts_total',
    help: 'Attempts of jobs in this process, by kind of job and how they ended.',
    labelNames: ['kind', 'outcome'],
    registers,
  })
  const gauges = registerGauges(registers)
  registerSources(sources, registers)
  registerProcess(sources, registers)

  return {
    request({ method, route, status, duration_us }) {
      const statusClass = `${Math.floor(status / 100)}xx`
      requests.observe({ method, route, status: statusClass }, duration_us / 1e6)
    },
    providerAttempt({ outcome, durationMs, firstPieceMs }) {
      attempts.observe({ outcome }, durationMs / 1000)
      if (firstPieceMs !== undefined) firstPieces.observe(firstPieceMs / 1000)
    },
    jobAttempt: (kind, outcome) => ended.inc({ kind, outcome }),
    async text() {
      gauges.set(await inTime(sources.backlog(), { ms: patienceMs }).catch(() => undefined))
      return await registry.metrics()
    },
  }
}

/** What one statement tells; nothing but that it does not answer, where the database does not. */
function registerGauges(registers: Registry[]) {
  const up = new Gauge({
    name: 'tenantry_database_up',
    help: 'Whether the database answered within a second.',
    registers,
  })
  const jobs = new Gauge({
    name: 'tenantry_jobs',
    help: 'Jobs of all processes, each number at most 10000: due now, waiting for later, running, dead.',
    labelNames: ['state'],
    registers,
  })
  const oldest = new Gauge({
    name: 'tenantry_jobs_oldest_due_seconds',
    help: 'For how long the first job that is due has been waiting to be taken.',
    labelNames: [],
    registers,
  })
  return {
    set(backlog: Backlog | undefined): void {
      up.set(backlog ? 1 : 0)
      jobs.reset()
      oldest.remove()
      if (!backlog) return
      jobs.set({ state: 'due' }, backlog.due)
      jobs.set({ state: 'waiting' }, backlog.waiting)
      jobs.set({ state: 'running' }, backlog.running)
      jobs.set({ state: 'dead' }, backlog.dead)
      oldest.set(backlog.oldestDueSeconds)
    },
  }
}

function registerSources({ dropped, databaseLoad }: Sources, registers: Registry[]): void {
  new Counter({
    name: 'tenantry_request_records_dropped_total',
    help: 'Request records that analytics lost, because they came too fast or the database refused them.',
    registers,
    collect() {
      this.reset()
      this.inc(dropped())
    },
  })
  const { pool, files } = databaseLoad()
  if (pool) {
    new Gauge({
      name: 'tenantry_database_connections_max',
      help: 'Connections that the pool may open.',
      registers,
      collect() {
        this.set(pool.size)
      },
    })
    new Gauge({
      name: 'tenantry_database_work_in_flight',
      help: 'Statements and transactions under way, those included that wait for a connection.',
      registers,
      collect() {
        this.set(databaseLoad().pool?.inFlight ?? 0)
      },
    })
  }
  if (files) {
    new Gauge({
      name: 'tenantry_database_file_bytes',
      help: 'Size of the database file and of its write-ahead log.',
      labelNames: ['file'],
      registers,
      collect() {
        const sizes = databaseLoad().files
        this.set({ file: 'database' }, sizes?.database ?? 0)
        this.set({ file: 'wal' }, sizes?.wal ?? 0)
      },
    })
  }
}
