import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { jobs } from '../../src/database/tables'
import { systemClock } from '../../src/ids'
import { JobBell } from '../../src/jobs/job'
import { enqueueAll } from '../../src/jobs/queue'
import { emptyDatabase, overAll, rowsOf } from '../own-database'
import { seed } from './program'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

const count = 1000
const leaseMs = 2000

describe('a process that is killed while two work on a thousand jobs', () => {
  test(
    'loses no job, and only those that it held are done twice',
    overAll(async () => {
      await using own = await emptyDatabase()
      const { tenant_id } = await seed(own.url)
      await using connection = connect(own.url)
      const { database } = connection
      const numbers = Array.from({ length: count }, (_, number) => ({ kind: 'effect', payload: { number } }))
      const ids = await enqueueAll({ database, clock: systemClock, jobBell: new JobBell() }, tenant_id, numbers)
      const effects = join(own.folder, 'effects')
      const env = { DATABASE_URL: own.url, EFFECTS: effects, LEASE_MS: String(leaseMs) }
      await using victim = startWorker(env)
      await using survivor = startWorker(env)
      const done = (): Effect[] => (existsSync(effects) ? read(effects) : [])
      const byBoth = () => new Set(done().map(({ pid }) => pid)).size === 2

      while (done().length < count / 4 || !byBoth()) await Bun.sleep(1)
      // The survivor stands still for a moment, so that what is written down is how things stood at the kill.
      survivor.kill('SIGSTOP')
      victim.kill('SIGKILL')
      await victim.exited
      while (await isBusy(connection)) await Bun.sleep(1)
      const open = await database.select({ id: jobs.id }).from(jobs).where(eq(jobs.state, 'running'))
      const before = done()
      survivor.kill('SIGCONT')
      const left = () => database.$count(jobs, eq(jobs.state, 'done'))
      while ((await left()) < count) await Bun.sleep(20)

      const after = done()
      const heldAtTheKill = new Set(open.map(({ id }) => id))
      const twice = after.filter(({ id }, at) => after.findIndex((each) => each.id === id) < at)
      const again = await database.select({ id: jobs.id, attempts: jobs.attempts }).from(jobs)
      console.log(
        `killed after ${before.length} effects with ${heldAtTheKill.size} leases open in both: ${twice.length} jobs done twice`,
      )
      expect(before.length).toBeLessThan(count)
      expect(ids).toHaveLength(count)
      expect(new Set(after.map(({ id }) => id))).toEqual(new Set(ids))
      expect(twice.filter(({ id }) => !heldAtTheKill.has(id))).toEqual([])
      expect(twice.filter(({ pid }) => pid !== survivor.pid)).toEqual([])
      expect(twice.filter(({ id }) => after.find((each) => each.id === id)?.pid !== victim.pid)).toEqual([])
      expect(again.filter(({ id, attempts }) => attempts > 1 && !heldAtTheKill.has(id))).toEqual([])
      expect(again.filter(({ attempts }) => attempts > 2)).toEqual([])
    }),
  )
})

describe('a process that is told to end while it works', () => {
  test(
    'finishes what it began, and leaves the rest as if nobody had touched it',
    overAll(async () => {
      await using own = await emptyDatabase()
      const { tenant_id } = await seed(own.url)
      await using connection = connect(own.url)
      const { database } = connection
      const numbers = Array.from({ length: count }, (_, number) => ({ kind: 'effect', payload: { number } }))
      await enqueueAll({ database, clock: systemClock, jobBell: new JobBell() }, tenant_id, numbers)
      const effects = join(own.folder, 'effects')
      await using worker = startWorker({ DATABASE_URL: own.url, EFFECTS: effects, LEASE_MS: String(leaseMs) })

      while (!existsSync(effects) || read(effects).length < 20) await Bun.sleep(1)
      worker.kill('SIGTERM')
      const code = await worker.exited

      const rows = await database.select({ id: jobs.id, state: jobs.state, attempts: jobs.attempts }).from(jobs)
      const finished = rows.filter(({ state }) => state === 'done').map(({ id }) => id)
      expect(code).toBe(0)
      expect(
        read(effects)
          .map(({ id }) => id)
          .sort(),
      ).toEqual(finished.sort())
      expect(finished.length).toBeLessThan(count)
      expect(rows.filter(({ state }) => state !== 'done')).toEqual(
        Array.from({ length: count - finished.length }, () => ({
          id: expect.any(String),
          state: 'queued',
          attempts: 0,
        })),
      )
    }),
  )
})

type Effect = { id: string; attempt: number; pid: number }

/** The whole lines: a process may just be writing another one. */
const read = (file: string): Effect[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '))
    .map(([id = '', attempt, pid]) => ({ id, attempt: Number(attempt), pid: Number(pid) }))

function startWorker(env: Record<string, string>) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'job-worker.ts')], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return {
    pid: child.pid,
    exited: child.exited,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

/** Postgres ends a statement that its client did not live to see the end of. */
async function isBusy(connection: ReturnType<typeof connect>): Promise<boolean> {
  if (dialect === 'sqlite') return false
  const text =
    "select pid from pg_stat_activity where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()"
  return (await rowsOf(connection, text)).length > 0
}
