import { describe, expect, test } from 'bun:test'
import { backend, bunTest } from './child'

const refused = (what: string, why: string) =>
  `error: ${what} does not work at the isolation level "savepoint": ${why}. Give the test a database of its own: test(name, { isolation: 'fork' }, ...).`

const raw = refused(
  'A raw transaction statement',
  'it would end the transaction that isolates this test. Use the transaction function of the database handle',
)
const ownLocks = 'one connection never meets its own locks'
const ownLock = 'one connection always gets its own lock, and a session lock outlives the rollback'
const notDelivered = 'a notification is delivered at COMMIT, and this test never commits'
const preparedStays = 'a prepared statement outlives the rollback, so the next test would have it'
const outside = refused('A statement that cannot run in a transaction', 'this test runs in one')

const limits = {
  'sqlite::memory:': {
    commit: raw,
    '/* a comment first */ rollback': raw,
    "insert or rollback into notes (text) values ('a')": refused(
      'OR ROLLBACK',
      'it would roll back the transaction that isolates this test',
    ),
    "attach ':memory:' as other": refused('ATTACH', 'it cannot be undone by a rollback'),
    vacuum: outside,
  },
  'postgres:embedded': {
    commit: raw,
    begin: raw,
    'select 1; commit': raw,
    'select id from notes for update skip locked': refused('SKIP LOCKED', ownLocks),
    'select id from notes for update nowait': refused('NOWAIT', ownLocks),
    'set transaction isolation level serializable': refused(
      'SET TRANSACTION',
      'the transaction that isolates this test has begun already',
    ),
    'select pg_advisory_lock(1)': refused('An advisory lock', ownLock),
    'select pg_try_advisory_xact_lock(1)': refused('An advisory lock', ownLock),
    'listen notes': refused('LISTEN or NOTIFY', notDelivered),
    "select pg_notify('notes', '1')": refused('LISTEN or NOTIFY', notDelivered),
    'vacuum notes': outside,
    'select 1; end': raw,
    'set local transaction_read_only = on': refused(
      'SET TRANSACTION',
      'the transaction that isolates this test has begun already',
    ),
    'create temp table staging (id integer) on commit drop': refused(
      'ON COMMIT',
      'this test never commits, so the table keeps its rows',
    ),
    "select setval('notes_id_seq', 1, false)": refused(
      'setval()',
      'a sequence does not go back with a rollback, so the next test would have it',
    ),
    'prepare asked as select 1': refused('PREPARE or DEALLOCATE', preparedStays),
    'deallocate all': refused('PREPARE or DEALLOCATE', preparedStays),
    'create index concurrently notes_text on notes (text)': outside,
  },
}

const guards = bunTest('guards.ts')

describe(`on ${backend}, what a savepoint cannot show`, async () => {
  const { says } = await guards

  test.each(Object.entries(limits[backend]))('is refused with the way out: %s', (statement, message) => {
    expect(says[`savepoint: ${statement}`]).toContain(message)
  })

  test.if(backend === 'postgres:embedded')(
    'is refused in the rewind of a fork without a way that leads nowhere',
    () => {
      expect(says['rewind in a fork']).toContain(
        `error: An advisory lock does not work in a rewind, which is a savepoint: ${ownLock}.\n`,
      )
    },
  )

  test('works in a fork, and words in literals and comments are only words', () => {
    const others = Object.entries(says).filter(([name]) => /^(fork|harmless): /.test(name))

    expect(others).toHaveLength(backend === 'sqlite::memory:' ? 5 : 14)
    expect(others.filter(([, said]) => said !== '')).toEqual([])
  })
})

describe.if(backend === 'postgres:embedded')('two tests on the same Postgres', async () => {
  const { says } =
    backend === 'postgres:embedded' ? await bunTest('collisions.ts') : { says: {} as Record<string, string> }
  const remedy =
    "Give each its own values in unique columns and its own rows, run one of them with test.serial, or in a database of its own: test(name, { isolation: 'fork' }, ...)."

  test('of which one had changed a table get an error that says so', () => {
    expect(says['changes a table']).toBe('')
    expect(says['reads the table that was changed']).toContain(
      "PostgresError: cached plan must not change result type. This test or one before it changed a table, which is undone, but not the plans that this connection made meanwhile. Give the one that did a database of its own: test(name, { isolation: 'fork' }, ...).",
    )
  })

  test('that wait for each other get an error that names the other', () => {
    const victims = [says['takes a, then b'], says['takes b, then a']].filter((said) => said !== '')

    expect(victims).toHaveLength(1)
    expect(victims[0]).toMatch(
      /PostgresError: deadlock detected\. A test keeps what it wrote locked until its end, and these ran at the same time: .*"takes (a, then b|b, then a)" \(collisions\.ts:\d+\)/,
    )
    expect(victims[0]).toContain(remedy)
  })

  test('of which one waits long for the other do not hang', () => {
    expect(says['holds a row for long']).toBe('')
    expect(says['wants the same row']).toMatch(
      /PostgresError: canceling statement due to lock timeout\. A test keeps what it wrote locked until its end, and these ran at the same time: "holds a row for long" \(collisions\.ts:\d+\)\./,
    )
  })
})
