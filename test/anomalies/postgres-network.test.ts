import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { dialect } from '../../src/database/dialect'
import { seed, startServer } from '../process/program'
import { Callers, interrupted, lostOf } from './callers'
import { type OwnPostgres, ownPostgres } from './own-postgres'
import { BadNetwork } from './proxy'

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

/** A service that reaches its database through the network; its statements may take 1 s, and with no answer after 3 s nobody is there. */
const served = (network: BadNetwork, more: Record<string, string> = {}) =>
  startServer({
    DATABASE_URL: `postgres://service@127.0.0.1:${network.port}/service?statement_timeout=1000`,
    ...more,
  })

async function surroundings(): Promise<{ postgres: OwnPostgres; token: string; network: BadNetwork }> {
  const postgres = await ownPostgres()
  const { token } = await seed(postgres.url)
  return { postgres, token, network: new BadNetwork(postgres.socket) }
}

describe.if(dialect === 'postgres')('a service behind a bad network', () => {
  test('whose connections are cut answers 503 to what was on its way, goes on, and loses nothing', async () => {
    const world = await surroundings()
    await using postgres = world.postgres
    using network = world.network
    await using service = await served(network)
    const callers = new Callers(world.token, [service.url])

    for (let cut = 0; cut < 10; cut++) {
      await callers.acknowledge(3)
      network.cut()
    }
    network.refuses = true
    network.cut()
    await callers.refuse(10)
    network.refuses = false
    await callers.acknowledge(20)
    await callers.stop()

    expect(callers.kindsOfRefusal).toEqual([interrupted])
    expect(callers.unanswered).toEqual([])
    expect(callers.longestMs).toBeLessThan(15_000) // the driver itself would wait for 20 s or longer
    expect(await lostOf(callers.acknowledged, postgres.url)).toEqual([])
  })

  test('that takes 200 ms for every round trip is slow, and refuses nothing', async () => {
    const world = await surroundings()
    await using postgres = world.postgres
    using network = world.network
    await using service = await served(network, { JOBS_CONCURRENCY: '0' })
    network.latencyMs = 100
    const callers = new Callers(world.token, [service.url], { callers: 2 })

    await callers.acknowledge(2)
    await callers.stop()

    expect({ refused: callers.refusals, streams: callers.endedInError, unanswered: callers.unanswered }).toEqual({
      refused: [],
      streams: [],
      unanswered: [],
    })
    expect(await lostOf(callers.acknowledged, postgres.url)).toEqual([])
  })

  test('that falls silent without ending its connections is noticed, given up, and replaced', async () => {
    const world = await surroundings()
    await using postgres = world.postgres
    using network = world.network
    await using service = await served(network)
    const callers = new Callers(world.token, [service.url])

    await callers.acknowledge(10)
    network.freeze()
    await callers.refuse(1)
    const frozen = callers.longestMs
    await callers.acknowledge(20)
    await callers.stop()

    // The limit of a statement, and 2 s of grace.
    expect(frozen).toBeGreaterThan(2900)
    expect(callers.kindsOfRefusal).toEqual([interrupted])
    expect(callers.unanswered).toEqual([])
    expect(callers.longestMs).toBeLessThan(15_000) // the driver itself would wait for 20 s or longer
    expect(await lostOf(callers.acknowledged, postgres.url)).toEqual([])
  })
})
