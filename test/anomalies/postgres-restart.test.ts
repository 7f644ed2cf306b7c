import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { rowsOf } from '../own-database'
import { seed, startServer } from '../process/program'
import { Callers, interrupted, lostOf } from './callers'
import { ownPostgres } from './own-postgres'

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

describe.if(dialect === 'postgres')('a service whose Postgres ends under load', () => {
  test('answers 503 until it is back, goes on by itself, and loses nothing that was acknowledged', async () => {
    await using postgres = await ownPostgres()
    const { token } = await seed(postgres.url)
    await using served = await startServer({ DATABASE_URL: postgres.url })
    const callers = new Callers(token, [served.url])
    const health: number[][] = []

    for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
      await callers.acknowledge(10)
      await postgres.stop(signal)
      await callers.refuse(10)
      const answers = await Promise.all(['ready', 'live'].map((path) => fetch(`${served.url}/health/${path}`)))
      health.push(answers.map(({ status }) => status))
      await postgres.start()
      await callers.acknowledge(10)
    }
    await callers.stop()

    expect(health).toEqual([
      [503, 200],
      [503, 200],
    ])
    expect(await fetch(`${served.url}/health/ready`)).toMatchObject({ status: 200 })
    expect(callers.kindsOfRefusal).toEqual([interrupted])
    expect(callers.unanswered).toEqual([])
    expect(callers.longestMs).toBeLessThan(15_000) // the driver itself would wait for 20 s or longer
    expect(await lostOf(callers.acknowledged, postgres.url)).toEqual([])
  })

  test('does the same when a backend is killed with -9 in the middle of a transaction', async () => {
    await using postgres = await ownPostgres()
    const { token } = await seed(postgres.url)
    await using served = await startServer({ DATABASE_URL: postgres.url })
    const callers = new Callers(token, [served.url])

    for (let kill = 0; kill < 2; kill++) {
      await callers.acknowledge(10)
      process.kill(await backendInTransaction(postgres.url), 'SIGKILL')
      await callers.refuse(1)
    }
    await callers.acknowledge(20)
    await callers.stop()

    expect(callers.kindsOfRefusal).toEqual([interrupted])
    expect(callers.unanswered).toEqual([])
    expect(callers.longestMs).toBeLessThan(15_000) // the driver itself would wait for 20 s or longer
    expect(await lostOf(callers.acknowledged, postgres.url)).toEqual([])
  })
})

/** The process of a connection that has begun and not ended. */
async function backendInTransaction(url: string): Promise<number> {
  await using connection = connect(url, { maxConnections: 1 })
  for (;;) {
    const [found] = await rowsOf(
      connection,
      "select pid from pg_stat_activity where backend_type = 'client backend' and xact_start is not null and pid <> pg_backend_pid() limit 1",
    )
    if (found) return Number(found.pid)
  }
}
