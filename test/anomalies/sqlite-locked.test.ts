import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { emptyDatabase, rowsOf } from '../own-database'
import { seed, startServer } from '../process/program'
import { Callers, interrupted, lostOf } from './callers'

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

describe.if(dialect === 'sqlite')('a service whose SQLite file another process holds locked for 10 s', () => {
  test('is alive meanwhile, answers 503 to who writes, goes on afterwards, and loses nothing', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    await using served = await startServer({ DATABASE_URL: database.url })
    const callers = new Callers(token, [served.url])
    await callers.acknowledge(20)
    const aliveAfterMs: number[] = []

    await using other = connect(database.url)
    await rowsOf(other, 'begin immediate')
    const lockedAt = performance.now()
    while (performance.now() - lockedAt < 10_000) {
      const askedAt = performance.now()
      await fetch(`${served.url}/health/live`)
      aliveAfterMs.push(performance.now() - askedAt)
      await Bun.sleep(100)
    }
    const refusedMeanwhile = callers.refusals.length
    await rowsOf(other, 'rollback')
    await callers.acknowledge(20)
    await callers.stop()

    expect(refusedMeanwhile).toBeGreaterThan(0)
    expect(callers.kindsOfRefusal).toEqual([interrupted])
    expect(callers.unanswered).toEqual([])
    // Who waited for the lock in the only thread would not be alive for 4 s each time.
    expect(aliveAfterMs.toSorted((one, other) => one - other)[Math.floor(aliveAfterMs.length / 2)]).toBeLessThan(1500)
    expect(await lostOf(callers.acknowledged, database.url)).toEqual([])
  })
})

describe.if(dialect === 'sqlite')('a search while another process holds the SQLite file locked', () => {
  test('is answered, as lists are, where nothing waits to be indexed', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    await using served = await startServer({ DATABASE_URL: database.url })
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const ask = async (query: string) => {
      const response = await fetch(`${served.url}/api/v1/conversations${query}`, { headers })
      return { status: response.status, total: response.headers.get('x-total-count') }
    }
    await fetch(`${served.url}/api/v1/conversations`, { method: 'POST', headers, body: '{"title":"Harvest"}' })
    const before = await ask('?q=harvest')

    await using other = connect(database.url)
    await rowsOf(other, 'begin immediate')
    const meanwhile = [await ask(''), await ask('?q=harvest'), await ask('?q=winter')]
    await rowsOf(other, 'rollback')

    expect(before).toEqual({ status: 200, total: '1' })
    expect(meanwhile).toEqual([
      { status: 200, total: '1' },
      { status: 200, total: '1' },
      { status: 200, total: '0' },
    ])
  })
})

describe.if(dialect === 'sqlite')('a service whose SQLite file another process locks again and again', () => {
  test('waits for each of these locks by itself, and refuses nothing however long it goes on', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    await using served = await startServer({ DATABASE_URL: database.url })
    const callers = new Callers(token, [served.url])
    await callers.acknowledge(20)
    const before = callers.acknowledged.length

    await using other = connect(database.url)
    const begunAt = performance.now()
    while (performance.now() - begunAt < 8000) {
      await rowsOf(other, 'begin immediate')
      await Bun.sleep(25)
      await rowsOf(other, 'rollback')
      await Bun.sleep(25)
    }
    await callers.acknowledge(20)
    await callers.stop()

    expect({
      refused: callers.kindsOfRefusal,
      inStreams: callers.endedInError,
      unanswered: callers.unanswered,
    }).toEqual({
      refused: [],
      inStreams: [],
      unanswered: [],
    })
    expect(callers.acknowledged.length).toBeGreaterThan(before + 20)
    expect(await lostOf(callers.acknowledged, database.url)).toEqual([])
  })
})
