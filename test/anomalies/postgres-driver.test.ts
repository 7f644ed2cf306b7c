import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Connection, connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { emptyDatabase, rowsOf } from '../own-database'

setDefaultTimeout(60_000)

/** What the patch of postgres.js is for: see docs/FAILURES.md. */
describe.if(dialect === 'postgres')('a transaction whose connection was lost', () => {
  test('writes nothing more, least of all inside the transaction that has its connection now', async () => {
    await using database = await emptyDatabase()
    await using admin = connect(asTheUserItself(database.url), { maxConnections: 1 })
    await using connection = connect(database.url, { maxConnections: 1 })
    await rowsOf(connection, 'create table written (who text)')
    const isLost = Promise.withResolvers<void>()
    const isTaken = Promise.withResolvers<void>()
    const hasTried = Promise.withResolvers<unknown>()

    const lost = connection.root.session
      .nest(async (session) => {
        await isLost.promise
        await isTaken.promise
        await session.run(write('the lost one')).then(hasTried.resolve, hasTried.resolve)
      })
      .catch((error: { code: string }) => error.code)
    await terminateOthers(admin)
    expect(await lost).toBe('CONNECTION_CLOSED')
    isLost.resolve()
    await connection.root.session.nest(async (session) => {
      await session.run(write('the next one'))
      isTaken.resolve()
      expect(await hasTried.promise).toMatchObject({ code: 'CONNECTION_CLOSED' })
    })

    expect(await rowsOf(connection, 'select who from written')).toEqual([{ who: 'the next one' }])
  })

  test('in the middle of a statement costs that transaction, and the connection is made anew, again and again', async () => {
    await using database = await emptyDatabase()
    await using admin = connect(asTheUserItself(database.url), { maxConnections: 1 })
    await using connection = connect(database.url, { maxConnections: 1 })
    const codes: unknown[] = []

    for (let time = 0; time < 3; time++) {
      const asleep = connection.root.session.nest((session) =>
        session.run({ text: 'select pg_sleep(60)', params: [], shape: 'arrays' }),
      )
      await Promise.all([
        asleep.catch((error: { code: string }) => codes.push(error.code)),
        terminateOthers(admin, "state = 'active'"),
      ])
    }

    expect(codes).toEqual(['CONNECTION_CLOSED', 'CONNECTION_CLOSED', 'CONNECTION_CLOSED'])
    expect(await rowsOf(connection, 'select 1 as one')).toEqual([{ one: 1 }])
  })
})

/** Not in the role that policies bind: only then the server says what other connections do. */
function asTheUserItself(url: string): string {
  const address = new URL(url)
  address.searchParams.delete('role')
  return address.href
}

const write = (who: string) => ({ text: 'insert into written values ($1)', params: [who], shape: 'arrays' }) as const

/** Ends the other connections of this database, as soon as there is one that is in a transaction. */
async function terminateOthers(admin: Connection, which = 'true'): Promise<void> {
  for (let ended = 0; ended === 0; ) {
    const rows = await rowsOf(
      admin,
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null and ${which}`,
    )
    ended = rows.length
  }
}
