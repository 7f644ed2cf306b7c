import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from '../../src/database/database'
import { request_records } from '../../src/database/tables'
import { seeingAll } from '../own-database'
import { type Served, seed, startServer, tenantry } from '../process/program'
import { unsteadyDatabase } from './outage'

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

describe('request records', () => {
  test('of the last second are written before the process ends', async () => {
    await using database = await unsteadyDatabase()
    const { token } = await seed(database.url)
    await using served = await startServer({ DATABASE_URL: database.url })

    await ask(served, token, 30)
    served.kill('SIGTERM')
    const code = await served.exited

    expect({ code, written: await written(database.url) }).toEqual({ code: 0, written: 30 })
  })

  test('wait for a database that is away, and are all written when it is back', async () => {
    await using database = await unsteadyDatabase()
    const { token } = await seed(database.url)
    await using served = await startServer({ DATABASE_URL: database.url })

    await ask(served, token, 30)
    await database.leave()
    await served.logged('Request records could not be written')
    await Bun.sleep(7000) // longer than it would take to try as often as it does where the database refuses them
    const droppedMeanwhile = dropped(served)
    await database.comeBack()
    await ask(served, token, 10)
    served.kill('SIGTERM')
    const code = await served.exited

    expect({ code, droppedMeanwhile, dropped: dropped(served), written: await written(database.url) }).toEqual({
      code: 0,
      droppedMeanwhile: [],
      dropped: [],
      written: 40,
    })
    expect(await tenantry(['analytics', 'verify'], { DATABASE_URL: database.url })).toMatchObject({ code: 0 })
  })

  test('of a process that ends while the database is away are lost, and it says how many', async () => {
    await using database = await unsteadyDatabase()
    const { token } = await seed(database.url)
    await using served = await startServer({ DATABASE_URL: database.url })

    await ask(served, token, 30)
    await database.leave()
    served.kill('SIGTERM')
    const code = await served.exited
    await database.comeBack()

    const lines = dropped(served)
    expect({ code, lines }).toMatchObject({
      code: 0,
      lines: [{ message: 'Request records were lost.', lost: 30 - (await written(database.url)) }],
    })
    expect(lines).toHaveLength(1)
  })
})

/** Asks so often, one after the other, and throws where it is refused. */
async function ask({ url }: Served, token: string, times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    const { status } = await fetch(`${url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })
    if (status !== 200) throw new Error(`Request ${n} was answered with ${status}.`)
  }
}

async function written(url: string): Promise<number> {
  await using connection = connect(url)
  return await seeingAll(() => connection.database.$count(request_records))
}

/** What the log says of records that will never be written. */
const dropped = ({ log }: Served): unknown[] =>
  log.map((line) => JSON.parse(line)).filter(({ message }) => /^Request records (are|were) lost/.test(message))
