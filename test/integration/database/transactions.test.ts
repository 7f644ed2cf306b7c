import { afterAll, test as anyTest, describe, expect } from 'bun:test'
import { eq } from 'drizzle-orm'
import { isUniqueViolation } from '../../../src/database/database'
import { Scope, type Session } from '../../../src/database/session'
import { tenants } from '../../../src/database/tables'
import { Held } from '../../../src/testing/held'
import { ownDatabase, sandboxIn, seeingAll } from '../../own-database'

// They write to one database.
const test = anyTest.serial

const own = await ownDatabase({ unbound: true })
afterAll(() => own[Symbol.asyncDispose]())
const { database, root } = own

const now = new Date('2026-03-02T09:00:00.000Z')
const row = (slug: string) => ({ id: Bun.randomUUIDv7(), slug, name: slug, created_at: now, updated_at: now })
const add = async (slug: string): Promise<void> => void (await database.insert(tenants).values(row(slug)))
/** As long on its way through Drizzle as a query. */
const put = async (slug: string) => await database.insert(tenants).values(row(slug)).returning({ slug: tenants.slug })
const slugs = async () =>
  (await database.select({ slug: tenants.slug }).from(tenants).orderBy(tenants.slug)).map(({ slug }) => slug)
const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => error,
  )
class Undone extends Error {}
const undone = (error: unknown) => {
  if (!(error instanceof Undone)) throw error
}

type Within = (work: () => Promise<void>) => () => Promise<void>

const onDatabase: Within = (work) => async () => {
  try {
    await work()
  } finally {
    await database.delete(tenants)
  }
}

const inSandbox: Within = (work) => async () => {
  const { enter, rollback } = await sandboxIn(own)
  try {
    await enter(work)
  } finally {
    await rollback()
  }
}

// The test kit's sandbox makes savepoints of transactions, so all of this has to hold there too.
for (const [where, within] of [
  ['on a database', onDatabase],
  ['in a sandbox', inSandbox],
] as const) {
  describe(`a transaction ${where}`, () => {
    test(
      'keeps all it did, and hands on what its work resolves to',
      within(async () => {
        const result = await database.transaction(async () => {
          await add('a')
          await add('b')
          return 'done'
        })

        expect(result).toBe('done')
        expect(await slugs()).toEqual(['a', 'b'])
      }),
    )

    test(
      'undoes all it did when its work throws',
      within(async () => {
        await add('before')

        const error = await rejection(
          database.transaction(async () => {
            await add('a')
            throw new Undone()
          }),
        )

        expect(error).toBeInstanceOf(Undone)
        expect(await slugs()).toEqual(['before'])
      }),
    )

    test(
      'is undone by a failed statement even if its work caught the failure',
      within(async () => {
        await add('taken')

        const error = await rejection(
          database.transaction(async () => {
            await add('a')
            await add('taken').catch(() => {})
          }),
        )

        expect(isUniqueViolation(error)).toBe(true)
        expect(await slugs()).toEqual(['taken'])
      }),
    )

    test(
      'refuses further statements and transactions after a failed statement',
      within(async () => {
        await add('taken')
        const later: unknown[] = []

        await rejection(
          database.transaction(async () => {
            await add('taken').catch(() => {})
            later.push(await rejection(add('statement')))
            later.push(await rejection(database.transaction(() => add('transaction'))))
          }),
        )

        expect(later.map(isUniqueViolation)).toEqual([true, true])
        expect(await slugs()).toEqual(['taken'])
      }),
    )

    test(
      'throws what its work made of a failed statement',
      within(async () => {
        await add('taken')

        const error = await rejection(
          database.transaction(() =>
            add('taken').catch(() => {
              throw new Undone()
            }),
          ),
        )

        expect(error).toBeInstanceOf(Undone)
      }),
    )

    test(
      'goes on after an inner one failed',
      within(async () => {
        await add('taken')

        await database.transaction(async () => {
          await add('a')
          expect(isUniqueViolation(await rejection(database.transaction(() => add('taken'))))).toBe(true)
          await add('b')
        })

        expect(await slugs()).toEqual(['a', 'b', 'taken'])
      }),
    )

    test(
      'undoes with an inner one what was kept inside that',
      within(async () => {
        await database.transaction(async () => {
          await add('1')
          const middle = database.transaction(async () => {
            await add('2')
            await database.transaction(() => add('3'))
            throw new Undone()
          })
          await middle.catch(undone)
          await add('4')
        })

        expect(await slugs()).toEqual(['1', '4'])
      }),
    )

    test(
      'keeps its own statements that run beside an inner one that is undone',
      within(async () => {
        await database.transaction(async () => {
          const begun = Promise.withResolvers<void>()
          const inner = database.transaction(async () => {
            await add('lost')
            begun.resolve()
            throw new Undone()
          })
          await Promise.all([add('a'), inner.catch(undone), add('b'), begun.promise.then(() => add('c'))])
        })

        expect(await slugs()).toEqual(['a', 'b', 'c'])
      }),
    )

    test(
      'runs statements that come together in their order',
      within(async () => {
        const [, before, , after] = await database.transaction(() =>
          Promise.all([put('a'), slugs(), put('b'), slugs()]),
        )

        expect([before, after]).toEqual([['a'], ['a', 'b']])
      }),
    )

    test(
      'fails statements that came together with a failed one, behind it, for its reason',
      within(async () => {
        await add('taken')
        const reasons: unknown[] = []

        await rejection(
          database.transaction(async () => {
            const all = [put('a'), put('taken'), slugs(), put('b')]
            reasons.push(...(await Promise.all(all.map(rejection))))
          }),
        )

        expect(reasons.map(isUniqueViolation)).toEqual([false, true, true, true])
        expect(await slugs()).toEqual(['taken'])
      }),
    )

    test(
      'holds statements back while a transaction inside it is open',
      within(async () => {
        await database.transaction(async () => {
          const inner = database.transaction(async () => {
            await add('a')
            await Bun.sleep(1)
            throw new Undone()
          })
          await Promise.all([inner.catch(undone), add('b'), add('c')])
        })

        expect(await slugs()).toEqual(['b', 'c'])
      }),
    )

    test(
      'waits for statements that its work did not await',
      within(async () => {
        await database.transaction(async () => {
          add('forgotten')
        })

        expect(await slugs()).toEqual(['forgotten'])
      }),
    )

    test(
      'refuses a statement that comes when it is over',
      within(async () => {
        const over = Promise.withResolvers<void>()
        const { late } = await database.transaction(async () => ({ late: over.promise.then(() => add('late')) }))

        over.resolve()

        const { cause } = (await rejection(late)) as Error
        expect(cause).toEqual(new Error('This transaction is over: something in it was not awaited'))
        expect(await slugs()).toEqual([])
      }),
    )

    test(
      'is not seen by others before it ends',
      within(async () => {
        const [written, read] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
        const writing = database
          .transaction(async () => {
            await add('draft')
            written.resolve()
            await read.promise
            throw new Undone()
          })
          .catch(undone)
        await written.promise

        const seen = slugs()
        read.resolve()

        expect(await seen).toEqual([])
        await writing
      }),
    )

    test(
      'takes in a query that was built outside and is awaited inside',
      within(async () => {
        const query = database.insert(tenants).values(row('built-outside'))

        const transaction = database.transaction(async () => {
          await query
          throw new Undone()
        })

        await transaction.catch(undone)
        expect(await slugs()).toEqual([])
      }),
    )

    test(
      'takes in a query that its work returned without awaiting it',
      within(async () => {
        await database.transaction(() => database.insert(tenants).values(row('kept')))
        const transaction = database.transaction(async () => {
          await database.transaction(() => database.insert(tenants).values(row('lost')))
          throw new Undone()
        })

        await transaction.catch(undone)

        expect(await slugs()).toEqual(['kept'])
      }),
    )

    test(
      'takes in prepared queries',
      within(async () => {
        const bySlug = database.select().from(tenants).where(eq(tenants.slug, 'draft')).prepare('by_slug')
        const seen: number[] = []

        const transaction = database.transaction(async () => {
          await add('draft')
          seen.push((await bySlug.execute()).length)
          throw new Undone()
        })
        await transaction.catch(undone)
        seen.push((await bySlug.execute()).length)

        expect(seen).toEqual([1, 0])
      }),
    )

    test(
      'takes in what its work does in timers, streams and callbacks',
      within(async () => {
        const transaction = database.transaction(async () => {
          await new Promise<void>((done, fail) => setTimeout(() => add('timer').then(done, fail)))
          await new Promise<void>((done, fail) => queueMicrotask(() => add('microtask').then(done, fail)))
          await new Promise<void>((done, fail) => setImmediate(() => add('immediate').then(done, fail)))
          const stream = new ReadableStream<string>({
            async pull(controller) {
              await add('stream')
              controller.close()
            },
          })
          for await (const _ of stream);
          throw new Undone()
        })

        await transaction.catch(undone)

        expect(await slugs()).toEqual([])
      }),
    )
    test(
      'announces what was written in it when it is kept, in order, and not before',
      within(async () => {
        const heard: string[] = []
        const announce = (what: string) => database.afterCommit(() => void heard.push(what))

        await database.transaction(async () => {
          announce('first')
          await add('a')
          await database.transaction(async () => announce('inner'))
          announce('last')
          heard.push('work is over')
        })

        expect(heard).toEqual(['work is over', 'first', 'inner', 'last'])
      }),
    )

    test(
      'announces nothing of what is undone: by its work, by a failed statement, or by the transaction around it',
      within(async () => {
        await add('taken')
        const heard: string[] = []
        const announce = (what: string) => database.afterCommit(() => void heard.push(what))

        await database
          .transaction(async () => {
            announce('undone')
            throw new Undone()
          })
          .catch(undone)
        await rejection(
          database.transaction(async () => {
            announce('refused')
            await add('taken').catch(() => {})
          }),
        )
        await database
          .transaction(async () => {
            await database.transaction(async () => announce('kept inside what is undone'))
            throw new Undone()
          })
          .catch(undone)
        await database.transaction(async () => {
          const inner = database.transaction(async () => {
            announce('inner')
            throw new Undone()
          })
          await inner.catch(undone)
          announce('outer')
        })

        expect(heard).toEqual(['outer'])
      }),
    )

    test(
      'announces at once where there is none, and finds what it announces committed',
      within(async () => {
        const seen: Promise<string[]>[] = []
        const announce = () => database.afterCommit(() => void seen.push(slugs()))

        announce()
        await Promise.all(seen)
        await database.transaction(async () => {
          await add('a')
          await database.transaction(() => add('b'))
          announce()
        })

        expect(await Promise.all(seen)).toEqual([[], ['a', 'b']])
      }),
    )
  })
}

/** Answers nothing by itself. */
function silent(pipelines: boolean) {
  const asked: string[] = []
  const answers: (() => void)[] = []
  const session: Session = {
    pipelines,
    run: ({ text }) => {
      asked.push(text)
      return new Promise((resolve) => answers.push(() => resolve([])))
    },
    nest: (work) => {
      asked.push('savepoint')
      return work(session)
    },
  }
  return { session, asked, answers }
}

describe('a transaction with statements that come together', () => {
  const texts = ['one', 'two', 'three']
  const ask = (text: string) => Scope.current()?.run({ text, params: [], shape: 'arrays' })

  test('sends them together where the session keeps their order', async () => {
    const { session, asked, answers } = silent(true)
    const transaction = new Scope(session).transaction(() => Promise.all(texts.map(ask)))
    await Bun.sleep(0)

    expect(asked).toEqual(['savepoint', ...texts])
    for (const answer of answers) answer()
    await transaction
  })

  test('sends one after the other where it does not', async () => {
    const { session, asked, answers } = silent(false)
    const transaction = new Scope(session).transaction(() => Promise.all(texts.map(ask)))
    await Bun.sleep(0)

    expect(asked).toEqual(['savepoint', 'one'])
    for (let at = 0; at < texts.length; at++) {
      answers[at]?.()
      await Bun.sleep(0)
    }
    await transaction
    expect(asked).toEqual(['savepoint', ...texts])
  })

  test('sends none along with a transaction inside it, nor ahead of those that wait', async () => {
    const { session, asked, answers } = silent(true)
    const transaction = new Scope(session).transaction(() =>
      Promise.all([ask('one'), database.transaction(async () => void (await ask('inside'))), ask('two'), ask('three')]),
    )
    const steps: string[][] = []
    for (let at = 0; at < 4; at++) {
      await Bun.sleep(0)
      steps.push([...asked])
      answers[at]?.()
    }

    await transaction
    expect(steps).toEqual([
      ['savepoint', 'one'],
      ['savepoint', 'one', 'savepoint', 'inside'],
      ['savepoint', 'one', 'savepoint', 'inside', 'two'],
      ['savepoint', 'one', 'savepoint', 'inside', 'two', 'three'],
    ])
  })
})

describe('what can never get its turn', () => {
  test('ends as an error that says why, and harms nothing else', async () => {
    const patience = 20
    const held = await Held.open(root.session)
    const scope = new Scope(held.session)
    const { patienceMs } = Scope
    Scope.patienceMs = patience

    const meet = async () => {
      const error = await database.transaction(async () => {
        await add('inside')
        return await rejection(scope.enter(() => add('outside')))
      })
      return [error, await slugs()] as const
    }
    const [error, kept] = await seeingAll(() => scope.enter(meet))

    Scope.patienceMs = patienceMs
    await held.rollback()
    expect((error as Error).cause).toEqual(
      new Error(`Waited ${patience} ms for a transaction: does it await something that was started outside it?`),
    )
    expect(kept).toEqual(['inside'])
  })
})
