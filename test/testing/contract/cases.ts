import { expect } from 'bun:test'
import type { Dialect } from '../../../src/testing'
import { add, addLink, addPart, hits, names } from './schema'
import { ask, failure, type Row, transaction, until, type Work } from './steps'
import type { Subject } from './subjects'

/** Where a case runs. */
type Stage = {
  subject: Subject
  dialect: Dialect
  perform: Subject['perform']
  rewind<T>(work: () => Promise<T>): Promise<T>
  /** Asks the app to do something called `path`; its answer as text. */
  post(path: string): Promise<string>
}

type Case = { name: string; run(stage: Stage): Promise<void> }

class Undone extends Error {
  override message = 'undone'
}
const undone = (work: Work<unknown>): Work<never> =>
  function* () {
    yield* work()
    throw new Undone()
  }

const unique = /UNIQUE|unique/
const foreignKey = /FOREIGN KEY constraint failed|violates foreign key constraint/

export const cases = [
  {
    name: 'a test sees what it writes',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        yield* add('mine')
        yield* ask("update items set name = 'changed' where name = 'seeded'")
        return yield* names()
      })

      expect(seen).toEqual(['changed', 'mine'])
    },
  },
  {
    name: 'a transaction keeps what it did and hands on what it returns',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        const returned = yield* transaction(function* () {
          yield* add('a')
          yield* add('b')
          return 'done'
        })
        return [returned, yield* names()]
      })

      expect(seen).toEqual(['done', ['a', 'b', 'seeded']])
    },
  },
  {
    name: 'a transaction whose function throws is undone',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        const error = yield* failure(() => transaction(undone(() => add('lost'))))
        return [error, yield* names()]
      })

      expect(seen).toEqual(['undone', ['seeded']])
    },
  },
  {
    name: 'a nested transaction is undone alone',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        yield* transaction(function* () {
          yield* add('outer')
          yield* failure(() => transaction(undone(() => add('lost'))))
          yield* transaction(() => add('inner'))
        })
        return yield* names()
      })

      expect(seen).toEqual(['inner', 'outer', 'seeded'])
    },
  },
  {
    name: 'what a nested transaction kept is undone with the outer one',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        yield* failure(() => transaction(undone(() => transaction(() => add('lost')))))
        return yield* names()
      })

      expect(seen).toEqual(['seeded'])
    },
  },
  {
    name: 'a failed statement outside a transaction poisons nothing',
    run: async ({ perform }: Stage) => {
      const [error, seen] = await perform(function* () {
        const error = yield* failure(() => add('seeded'))
        yield* failure(() => ask('select nonsense from nowhere'))
        yield* add('after')
        return [error, yield* names()]
      })

      expect(error).toMatch(unique)
      expect(seen).toEqual(['after', 'seeded'])
    },
  },
  {
    name: 'a failed statement undoes nothing that came before it, not even what a query wrote',
    run: async ({ perform, dialect }: Stage) => {
      const seen = await perform(function* () {
        yield* add('written')
        yield* names()
        if (dialect === 'postgres') {
          yield* ask(`create function put(text) returns void language sql as 'insert into items (name) values ($1)'`)
          yield* ask(`select put('by a query')`)
        }
        yield* names()
        yield* failure(() => ask('select nonsense from nowhere'))
        return yield* names()
      })

      expect(seen).toEqual(dialect === 'postgres' ? ['by a query', 'seeded', 'written'] : ['seeded', 'written'])
    },
  },
  {
    name: 'a failed statement inside a transaction poisons all of it',
    run: async ({ perform }: Stage) => {
      const later: string[] = []
      const seen = await perform(function* () {
        const error = yield* failure(() =>
          transaction(function* () {
            yield* add('lost')
            yield* failure(() => add('seeded'))
            later.push(yield* failure(() => ask('select 1 as one')))
          }),
        )
        later.push(error)
        return yield* names()
      })

      expect(later).toEqual([expect.stringMatching(/unique|25P02/i), expect.stringMatching(unique)])
      expect(seen).toEqual(['seeded'])
    },
  },
  {
    name: 'a failed statement inside a transaction poisons nothing, as SQLite does it',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        yield* transaction(function* () {
          yield* add('before')
          yield* failure(() => add('seeded'))
          yield* add('after')
        })
        return yield* names()
      })

      expect(seen).toEqual(['after', 'before', 'seeded'])
    },
  },
  {
    name: 'a unique violation that the app caught in a nested transaction leaves the outer one whole',
    run: async ({ perform }: Stage) => {
      const [error, seen] = await perform(function* () {
        const error = yield* transaction(function* () {
          yield* add('before')
          const error = yield* failure(() => transaction(() => add('seeded')))
          yield* add('after')
          return error
        })
        return [error, yield* names()]
      })

      expect(error).toMatch(unique)
      expect(seen).toEqual(['after', 'before', 'seeded'])
    },
  },
  {
    name: 'ten concurrent requests all count, and those that fail leave nothing',
    run: async ({ perform, post }: Stage) => {
      const numbers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

      const answers = await Promise.all(numbers.map((n) => post(n % 5 === 4 ? `/undone/${n}` : `/counted/${n}`)))

      expect(answers).toEqual(numbers.map((n) => (n % 5 === 4 ? 'undone' : `counted ${n}`)))
      expect(
        await perform(function* () {
          return [yield* hits(), yield* names()]
        }),
      ).toEqual([8, ['0', '1', '2', '3', '5', '6', '7', '8', 'seeded']])
    },
  },
  {
    name: 'a deferred constraint may be broken until the commit',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        yield* transaction(function* () {
          yield* addPart(1, 70)
          yield* ask("insert into items (id, name) values (70, 'late')")
        })
        yield* transaction(function* () {
          yield* addPart(2, 71)
          yield* transaction(() => ask("insert into items (id, name) values (71, 'later')"))
        })
        return yield* names()
      })

      expect(seen).toEqual(['late', 'later', 'seeded'])
    },
  },
  {
    name: 'a deferred constraint that is still broken fails the commit and undoes it, every time',
    run: async ({ perform }: Stage) => {
      const [errors, items, parts] = await perform(function* () {
        const broken = () =>
          transaction(function* () {
            yield* add('lost')
            yield* addPart(1, 99)
          })
        const errors = [yield* failure(broken), yield* failure(broken)]
        return [errors, yield* names(), yield* ask('select * from parts')] as const
      })

      expect(errors).toEqual([expect.stringMatching(foreignKey), expect.stringMatching(foreignKey)])
      expect(items).toEqual(['seeded'])
      expect(parts).toHaveLength(0)
    },
  },
  {
    name: 'a constraint that a transaction defers is checked at its commit, and at once in the next one',
    run: async ({ perform, dialect }: Stage) => {
      const defer = () =>
        ask(dialect === 'postgres' ? 'set constraints all deferred' : 'pragma defer_foreign_keys = on')
      const seen = await perform(function* () {
        yield* transaction(function* () {
          yield* defer()
          yield* addLink(1, 70)
          yield* ask("insert into items (id, name) values (70, 'late')")
        })
        const broken = yield* failure(() =>
          transaction(function* () {
            yield* defer()
            yield* addLink(2, 99)
            yield* add('lost')
          }),
        )
        const reached: string[] = []
        yield* failure(() =>
          transaction(function* () {
            yield* addLink(3, 99)
            reached.push('the statement after it')
          }),
        )
        return { broken, reached, names: yield* names() }
      })

      expect(seen).toEqual({ broken: expect.stringMatching(foreignKey), reached: [], names: ['late', 'seeded'] })
    },
  },
  {
    name: 'a statement of its own commits by itself, and a deferred constraint is checked there',
    run: async ({ perform }: Stage) => {
      const [error, parts] = await perform(function* () {
        const error = yield* failure(() => addPart(1, 99))
        yield* addPart(2, 1)
        return [error, yield* ask('select id from parts')] as const
      })

      expect(error).toMatch(foreignKey)
      expect([...parts]).toEqual([{ id: 2 }])
    },
  },
  {
    name: 'what a transaction set for itself is forgotten when it commits',
    run: async ({ perform }: Stage) => {
      const settings = () =>
        ask("select coalesce(current_setting('app.tenant', true), '') as tenant, current_setting('work_mem') as memory")
      const seen = await perform(function* () {
        const before = yield* settings()
        const inside = yield* transaction(function* () {
          yield* ask("select set_config('app.tenant', 'a', true)")
          yield* ask("set local work_mem = '1234kB'")
          return yield* settings()
        })
        const after = yield* settings()
        yield* ask("select set_config('app.tenant', 'b', true)")
        return { inside: inside[0], same: before[0]?.memory === after[0]?.memory, next: (yield* settings())[0]?.tenant }
      })

      expect(seen).toEqual({ inside: { tenant: 'a', memory: '1234kB' }, same: true, next: '' })
    },
  },
  {
    name: 'what a transaction set for the session stays when it commits',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        yield* transaction(function* () {
          yield* ask("select set_config('app.tenant', 'a', false), set_config('app.user', 'b', true)")
        })
        return yield* ask(
          "select current_setting('app.tenant') as tenant, coalesce(current_setting('app.user', true), '') as person",
        )
      })

      expect([...seen]).toEqual([{ tenant: 'a', person: '' }])
    },
  },
  {
    name: 'a setting that SQL has words of its own for is forgotten when the transaction commits',
    run: async ({ perform }: Stage) => {
      const settings = () => ask("select current_setting('timezone') as zone, current_setting('search_path') as path")
      const [before, inside, after] = await perform(function* () {
        const before = yield* settings()
        const inside = yield* transaction(function* () {
          yield* ask("set local time zone 'Pacific/Auckland'")
          yield* ask("set local schema 'pg_catalog'")
          yield* ask("select 'please set local rules' as text")
          return yield* settings()
        })
        return [before[0], inside[0], (yield* settings())[0]]
      })

      expect(inside).toEqual({ zone: 'Pacific/Auckland', path: 'pg_catalog' })
      expect(after).toEqual(before)
    },
  },
  {
    name: 'a sequence does not go back when a transaction is undone',
    run: async ({ perform }: Stage) => {
      const ids: Row[] = []
      await perform(function* () {
        ids.push(...(yield* add('first')))
        yield* failure(() =>
          transaction(
            undone(function* () {
              ids.push(...(yield* add('lost')))
            }),
          ),
        )
        ids.push(...(yield* add('last')))
      })

      const [first, lost, last] = ids.map(({ id }) => Number(id))
      // Other tests may take numbers from it meanwhile.
      expect([first, lost, last].toSorted((a, b) => Number(a) - Number(b))).toEqual([first, lost, last])
      expect(new Set([first, lost, last]).size).toBe(3)
    },
  },
  {
    name: 'tables can be made, filled and changed',
    run: async ({ perform }: Stage) => {
      const seen = await perform(function* () {
        yield* ask('create table extra (id integer primary key)')
        yield* ask('insert into extra values (1)')
        yield* ask("alter table items add column colour text default 'red'")
        yield* failure(() => transaction(undone(() => ask('drop table counters'))))
        return [
          yield* ask('select extra.id as id, colour from extra, items'),
          yield* ask('select value from counters'),
        ].map((rows) => [...rows])
      })

      expect(seen).toEqual([[{ id: 1, colour: 'red' }], [{ value: 0 }]])
    },
  },
  {
    name: 'commits are real: the database has no transaction around the test',
    run: async ({ perform, dialect }: Stage) => {
      const seen = await perform(function* () {
        yield* transaction(() => add('committed'))
        if (dialect === 'postgres') {
          return yield* ask("select pg_xact_status(xmin::text::xid8) as status from items where name = 'committed'")
        }
        yield* ask('begin')
        yield* ask("delete from items where name = 'committed'")
        yield* ask('rollback')
        return yield* ask("select 'committed' as status from items where name = 'committed'")
      })

      expect([...seen]).toEqual([{ status: 'committed' }])
    },
  },
  {
    name: 'a locked row is skipped by another transaction',
    run: async ({ perform }: Stage) => {
      const [locked, looked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const free = () => ask('select name from items for update skip locked')
      const before = await perform(() => transaction(free))
      const holding = perform(() =>
        transaction(function* () {
          yield* ask('select name from items for update')
          locked.resolve()
          yield* until(looked.promise)
        }),
      )
      await locked.promise

      const during = await perform(() => transaction(free)).finally(looked.resolve)

      await holding
      expect([...before]).toEqual([{ name: 'seeded' }])
      expect([...during]).toEqual([])
    },
  },
  {
    name: 'a transaction that sees one snapshot does not see what others commit meanwhile',
    run: async ({ perform }: Stage) => {
      const seen = await perform(() =>
        transaction(function* () {
          const first = yield* names()
          yield* until(perform(() => transaction(() => add('meanwhile'))))
          return [first, yield* names()]
        }, 'repeatable read'),
      )

      expect(seen).toEqual([['seeded'], ['seeded']])
      expect(await perform(names)).toEqual(['meanwhile', 'seeded'])
    },
  },
  {
    name: 'a notification is delivered when its transaction commits',
    run: async ({ perform, subject }: Stage) => {
      const heard = Promise.withResolvers<string>()
      await subject.listen?.('news', heard.resolve)

      await perform(function* () {
        yield* failure(() => transaction(undone(() => ask("notify news, 'undone'"))))
        yield* transaction(() => ask("notify news, 'committed'"))
      })

      expect(await heard.promise).toBe('committed')
    },
  },
  {
    name: 'a rewind undoes what was done in it, and nothing else',
    run: async ({ perform, rewind }: Stage) => {
      await perform(() => add('before'))

      const inside = await rewind(async () => {
        await perform(() => transaction(() => add('lost')))
        await perform(() => failure(() => add('before')))
        await perform(() => add('lost too'))
        return await perform(names)
      })

      await perform(() => add('after'))
      expect(inside).toEqual(['before', 'lost', 'lost too', 'seeded'])
      expect(await perform(names)).toEqual(['after', 'before', 'seeded'])
    },
  },
  {
    name: 'a rewind inside a rewind undoes what was done in it, and nothing else',
    run: async ({ perform, rewind }: Stage) => {
      const inside = await rewind(async () => {
        await perform(() => add('before'))
        await rewind(async () => {
          await rewind(() => perform(() => add('deep')))
          await perform(() => add('lost'))
        })
        await perform(() => add('after'))
        return await perform(names)
      })

      expect(inside).toEqual(['after', 'before', 'seeded'])
      expect(await perform(names)).toEqual(['seeded'])
    },
  },
] as const satisfies readonly Case[]
