import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { interleaved, number, quick, report, show, spread } from './support/measure'

const isPostgres = process.argv.includes('--postgres')
const rounds = quick ? 2 : 9
const jobs = quick ? 200 : isPostgres ? 500 : 2000
const calls = quick ? 50 : 500
const finished = quick ? 1000 : 100_000

// The tables are declared for the dialect that this decides, so what needs them is loaded afterwards.
const folder = mkdtempSync(`${tmpdir()}/tenantry-bench-`)
const url = isPostgres ? await embedded() : `sqlite:${folder}/jobs.db`
process.env.DATABASE_URL = url
const { openJobs } = await import('./support/jobs')
const database = await openJobs(url, finished)

const runs = await interleaved(rounds, {
  one: () => database.work(jobs, 1),
  five: () => database.work(jobs, 5),
  twenty: () => database.work(jobs, 20),
  queuesOne: () => database.transaction(calls, 1),
  queuesTwo: () => database.transaction(calls, 2),
  poll: () => database.poll(calls),
})
const another = runs.queuesTwo.map((us, round) => us - (runs.queuesOne[round] ?? Number.NaN))
const share = spread(runs.poll).median / 10_000

report(
  `Jobs, ${isPostgres ? 'embedded PostgreSQL' : 'SQLite file'}`,
  `Jobs that do nothing, in one process, with ${number(finished, 0)} finished ones in the table. Median (min to max) of ${rounds} rounds of ${number(jobs, 0)} jobs, ${number(calls, 0)} transactions, ${number(calls, 0)} polls.`,
  ['', 'jobs/s', 'µs'],
  [
    ['worked off, 1 at a time', show(spread(runs.one), 0), ''],
    ['worked off, 5 at a time (the default)', show(spread(runs.five), 0), ''],
    ['worked off, 20 at a time', show(spread(runs.twenty), 0), ''],
    ['a transaction that queues a job', '', show(spread(runs.queuesOne), 0)],
    ['another job in the same transaction', '', show(spread(another), 0)],
    [`a poll that finds nothing (once a second: ${number(share, 3)} % of its time)`, '', show(spread(runs.poll), 0)],
  ],
)

await database.close()
rmSync(folder, { recursive: true, force: true })
process.exit(0) // the embedded server ends with this process

async function embedded(): Promise<string> {
  const { embeddedPostgres } = await import('../src/testing/postgres-server')
  const { default: postgres } = await import('postgres')
  const server = embeddedPostgres()
  await server.started
  const admin = postgres({ host: server.socket, user: 'postgres', database: 'postgres', max: 1, onnotice() {} })
  await admin.unsafe('create database jobs')
  await admin.end()
  return server.url('jobs')
}
