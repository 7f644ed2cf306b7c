import { expect, test } from 'bun:test'
import type { Session } from '../../src/database/session'
import { Ledger } from '../../src/testing/ledger'
import { type IsolationLevel, Sandbox } from '../../src/testing/sandbox'

/** A connection to Postgres that notes what it was asked, and for whom; it refuses what fails, and a transaction is begun so many times. */
function noting(times: number): { session: Session; asked: string[] } {
  const asked: string[] = []
  const session: Session = {
    pipelines: true,
    run: async ({ text, reach }) => {
      asked.push(reach === undefined ? text : `${text} for ${reach}`)
      if (text.startsWith('fail')) throw new Error('refused')
      return []
    },
    nest: async (work, reach) => {
      asked.push(reach === undefined ? 'savepoint' : `savepoint for ${reach}`)
      for (let left = times; left > 1; left--) await work(session)
      return await work(session)
    },
  }
  return { session, asked }
}

function open(level: IsolationLevel = 'savepoint', times = 1) {
  const { session, asked } = noting(times)
  const rules = { dialect: 'postgres', deferred: [], mayDefer: () => false } as const
  const test = { name: 'a test', place: 'here' }
  const options = { dialect: 'postgres', level, test, ledger: new Ledger(), rules } as const
  const sandbox = new Sandbox(session, options)
  const undone = () => options.ledger.own.map(({ text, undone = false }) => [text, undone])
  return { sandbox, asked, undone }
}

const statement = (text: string) => ({ text, params: ['a'], shape: 'arrays' }) as const
const [insert, next] = [statement('insert'), 'release savepoint kit_step; savepoint kit_step']

// Each savepoint more would be one more round trip of every transaction.
test('a transaction on Postgres is in the savepoint that stands there, and its first statement says whose it is', async () => {
  const { sandbox, asked } = open()

  await sandbox.nest(async (inner) => {
    await inner.run(insert)
    await inner.run(statement('update'))
  }, 'acme')

  expect(asked).toEqual(['insert for acme', 'update', next])
})

test('a transaction on Postgres whose first statement may be several is told whose it is by one of its own', async () => {
  const { sandbox, asked } = open()

  await sandbox.nest((inner) => inner.run({ ...insert, params: [] }), 'acme')

  expect(asked).toEqual(['select for acme', 'insert', next])
})

test('a transaction on Postgres that fails is undone to that savepoint', async () => {
  const { sandbox, asked } = open()

  const undone = sandbox.nest((inner) => inner.run(statement('fail')), 'acme')

  expect(undone).rejects.toThrow('refused')
  await undone.catch(() => {})
  expect(asked).toEqual(['fail for acme', 'rollback to savepoint kit_step'])
})

test('a transaction in a transaction has a savepoint of its own, and says whose it is where nothing did before', async () => {
  const { sandbox, asked } = open()

  await sandbox.nest(async (inner) => {
    await inner.nest((deeper) => deeper.run(insert))
    await inner.run(insert)
    await inner.nest((deeper) => deeper.run(insert))
  }, 'acme')

  expect(asked).toEqual(['savepoint for acme', 'insert', 'insert for acme', 'savepoint', 'insert', next])
})

test('the ledger says what was undone: a transaction inside, and what was done in it', async () => {
  const { sandbox, undone } = open()

  await sandbox.nest(async (inner) => {
    await inner.run(statement('before'))
    await inner.nest((deeper) => deeper.run(statement('fail'))).catch(() => {})
    await inner.nest((deeper) => deeper.run(statement('kept')))
  })

  expect(undone()).toEqual([
    ['before', false],
    ['fail', true],
    ['kept', false],
  ])
})

test('the ledger says what was undone: all transactions inside one', async () => {
  const { sandbox, undone } = open()

  const failed = sandbox.nest(async (inner) => {
    await inner.nest((deeper) => deeper.run(statement('kept')))
    throw new Error('mine')
  })
  await failed.catch(() => {})

  expect(undone()).toEqual([['kept', true]])
})

test('the ledger says what was undone: a statement that was not answered when its transaction failed', async () => {
  const { sandbox, undone } = open()

  const failed = sandbox.nest(async (inner) => {
    inner.run(insert).catch(() => {})
    throw new Error('mine')
  })
  await failed.catch(() => {})
  await sandbox.idle()

  expect(undone()).toEqual([['insert', true]])
})

test('the ledger says what was undone: a transaction that was begun again', async () => {
  const { sandbox, undone } = open('fork', 2)

  await sandbox.nest((inner) => inner.run(statement('insert')))

  expect(undone()).toEqual([
    ['insert', true],
    ['insert', false],
  ])
})

test('a transaction that is under way when its test ends, ends in no way', async () => {
  const { sandbox, asked } = open()
  const released = Promise.withResolvers<void>()
  const ends: string[] = []
  const end = (how: string) => () => void ends.push(how)
  const kept = sandbox.nest(() => released.promise).then(end('kept'), end('undone'))

  sandbox.close()
  released.resolve()
  await Promise.race([kept, Bun.sleep(5)])

  expect([ends, asked]).toEqual([[], []])
})
