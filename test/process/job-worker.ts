import { appendFileSync } from 'node:fs'
import { Type } from '@sinclair/typebox'
import { connect } from '../../src/database/database'
import { systemClock } from '../../src/ids'
import { JobBell, type JobKind } from '../../src/jobs/job'
import { JobWorker } from '../../src/jobs/worker'
import { Lifetime } from '../../src/lifetime'
import { lineReporter } from '../../src/reporter'
import { shape } from '../../src/schema'

/** A process that does nothing but work on jobs, whose effect is a line in a file: `<job> <attempt> <process>`. */
const { DATABASE_URL = '', EFFECTS = '', LEASE_MS = '' } = process.env
const { database, ...connection } = connect(DATABASE_URL)

const effect: JobKind = {
  name: 'effect',
  payload: shape({ number: Type.Integer() }),
  mostAttempts: 5,
  timeoutMs: 60_000,
  async run(_payload, { id, attempt }) {
    appendFileSync(EFFECTS, `${id} ${attempt} ${process.pid}\n`)
    await Bun.sleep(5) // so that there is a time in which the effect is there and the job is not done
  },
}

const reporter = lineReporter('warn', 'words')
const lifetime = new Lifetime((error) => reporter.unexpected(error))
const worker = new JobWorker(
  { database, clock: systemClock, jobBell: new JobBell(), lifetime, reporter },
  { kinds: [effect], leaseMs: Number(LEASE_MS), pollMs: 50 },
)
worker.start()

process.on('SIGTERM', async () => {
  lifetime.run(() => worker.drain())
  await lifetime.end(1000)
  await connection[Symbol.asyncDispose]()
  process.exit(0)
})
