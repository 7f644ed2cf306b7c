import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from '../../src/database/database'
import { emptyDatabase, everything } from '../own-database'
import { seed, startServer, tenantry } from '../process/program'
import { Callers, lostOf } from './callers'

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

describe('two services on one database under load', () => {
  test('refuse nothing, lose nothing, and count every request once', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    await using one = await startServer({ DATABASE_URL: database.url })
    await using other = await startServer({ DATABASE_URL: database.url })
    // Four callers for each, two of them streamed.
    const callers = new Callers(token, [one.url, one.url, other.url, other.url])

    await callers.acknowledge(300)
    await callers.stop()
    for (const served of [one, other]) served.kill('SIGTERM')
    const codes = await Promise.all([one.exited, other.exited])

    expect(codes).toEqual([0, 0])
    expect({ refused: callers.refusals, inStreams: callers.endedInError, unanswered: callers.unanswered }).toEqual({
      refused: [],
      inStreams: [],
      unanswered: [],
    })
    expect(await lostOf(callers.acknowledged, database.url)).toEqual([])
    await using connection = connect(database.url)
    const { request_records } = await everything(connection)
    expect(request_records?.length).toBe(callers.acknowledged.length)
    expect(await tenantry(['analytics', 'verify'], { DATABASE_URL: database.url })).toEqual({
      code: 0,
      out: 'The rollups agree with the records.\n',
      err: '',
    })
  })
})
