import type { Database } from 'bun:sqlite'
import { afterAll, expect } from 'bun:test'
import { join } from 'node:path'
import { eq, relations, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import { migrate } from 'drizzle-orm/bun-sqlite/migrator'
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { Elysia } from 'elysia'
import { createKit, drizzleSqlite, openRunDatabase } from '../../../src/testing'

const authors = sqliteTable('authors', { id: integer().primaryKey(), name: text().notNull() })
const books = sqliteTable('books', {
  id: integer().primaryKey(),
  author_id: integer().notNull(),
  title: text().notNull(),
  published_at: integer({ mode: 'timestamp' }),
  tags: text({ mode: 'json' }).$type<string[]>(),
})
const schema = {
  authors,
  books,
  authorsRelations: relations(authors, ({ many }) => ({ books: many(books) })),
  booksRelations: relations(books, ({ one }) => ({
    author: one(authors, { fields: [books.author_id], references: [authors.id] }),
  })),
}
const open = (client: Database) => {
  client.run('pragma foreign_keys = on')
  const db = drizzle(client, { schema })
  db.run(sql`pragma cache_size = 1234`)
  return db
}
const { door, database: db } = drizzleSqlite(open)
const byName = db
  .select()
  .from(authors)
  .where(eq(authors.name, sql.placeholder('name')))
  .prepare()

const kit = await createKit({
  run: await openRunDatabase({ env: { TESTING_DATABASE_URL: 'sqlite::memory:' } }),
  door,
  app: new Elysia(),
  prepare: async () => migrate(db, { migrationsFolder: join(import.meta.dir, 'sqlite') }),
  seed: async () => ({ ada: db.insert(authors).values({ name: 'Ada' }).returning().get() }),
})
const { test, describe } = kit
afterAll(() => kit.close())

const names = () =>
  db
    .select()
    .from(authors)
    .orderBy(authors.id)
    .all()
    .map(({ name }) => name)
const add = (to: Pick<typeof db, 'insert'>, name: string): void => to.insert(authors).values({ name }).run()
const thrown = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return error
  }
}
const asyncFunction = 'A transaction of drizzle-orm/bun-sqlite got an async function.'
const levels = [['savepoint'], ['fork']] as const

for (const [isolation] of levels) {
  describe(`drizzle-orm/bun-sqlite at the level ${isolation}`, { isolation }, (test) => {
    test('answers every kind of query as the driver does', () => {
      // Typed as void, but there.
      const added: unknown = db.insert(authors).values({ name: 'Bo' }).run()

      expect(added).toEqual({ changes: 1, lastInsertRowid: 2 })
      expect(db.all(sql`select id, name from authors order by id`)).toEqual([
        { id: 1, name: 'Ada' },
        { id: 2, name: 'Bo' },
      ])
      expect(db.get<unknown>(sql`select id, name from authors where id = ${2}`)).toEqual([2, 'Bo'])
      expect(db.values(sql`select id, name from authors where id = ${2}`)).toEqual([[2, 'Bo']])
      expect<unknown>(db.run(sql`delete from authors where id = ${2}`)).toEqual({ changes: 1, lastInsertRowid: 2 })
      expect(byName.all({ name: 'Ada' })).toEqual([{ id: 1, name: 'Ada' }])
      expect(byName.get({ name: 'Bo' })).toBe(undefined)
    })

    test('counts rows, maps values and joins by relations', async ({ ada }) => {
      const published_at = new Date('2026-03-02T09:00:00.000Z')
      db.insert(books)
        .values({ author_id: ada.id, title: 'Notes', published_at, tags: ['a', 'b'] })
        .run()

      const found = db.query.authors.findFirst({ with: { books: true } }).sync()

      const book = { id: 1, author_id: 1, title: 'Notes', published_at, tags: ['a', 'b'] }
      expect(found).toEqual({ id: 1, name: 'Ada', books: [book] })
      expect(await db.$count(books)).toBe(1)
      expect(await db.select().from(books)).toEqual([book])
    })

    test('keeps what a transaction did, and undoes it when its function throws', () => {
      const kept = db.transaction((tx) => {
        add(tx, 'kept')
        return 'returned'
      })
      const undone = thrown(() =>
        db.transaction((tx) => {
          add(tx, 'lost')
          tx.rollback()
        }),
      )

      expect(kept).toBe('returned')
      expect(undone).toMatchObject({ message: 'Rollback' })
      expect(names()).toEqual(['Ada', 'kept'])
    })

    test('nests transactions', () => {
      db.transaction(
        (tx) => {
          add(tx, 'outer')
          thrown(() =>
            tx.transaction((inner) => {
              inner.transaction((innermost) => add(innermost, 'lost'))
              inner.rollback()
            }),
          )
          tx.transaction((inner) => add(inner, 'inner'))
        },
        { behavior: 'immediate' },
      )

      expect(names()).toEqual(['Ada', 'outer', 'inner'])
    })

    test('takes queries by relations and prepared queries into a transaction', () => {
      const seen = db.transaction((tx) => {
        add(tx, 'Bo')
        return [byName.all({ name: 'Bo' }).length, tx.query.authors.findMany().sync().length]
      })

      expect(seen).toEqual([1, 2])
    })

    test('refuses an async function as a transaction, and all that it does after that', async () => {
      const late = Promise.withResolvers<unknown>()
      const asked = Promise.withResolvers<void>()

      const error = thrown(() =>
        db.transaction(async (tx) => {
          add(tx, 'before the await')
          await asked.promise
          late.resolve([thrown(() => add(tx, 'on its handle')), thrown(() => add(db, 'on the outer one'))])
        }),
      )

      asked.resolve()
      expect(error).toMatchObject({ message: expect.stringContaining(asyncFunction) })
      expect(await late.promise).toMatchObject([
        { message: expect.stringContaining(asyncFunction) },
        { message: expect.stringContaining(asyncFunction) },
      ])
      expect(names()).toEqual(['Ada'])
      add(db, 'after it')
      expect(names()).toEqual(['Ada', 'after it'])
    })

    test('says where the transaction is that got an async function', () => {
      const error = thrown(() => db.transaction(async () => {}))

      expect((error as Error).stack).toContain('sqlite.test.ts')
    })

    test('refuses one inside another, and undoes both', () => {
      const error = thrown(() =>
        db.transaction((tx) => {
          add(tx, 'outer')
          tx.transaction(async (inner) => add(inner, 'inner'))
        }),
      )

      expect(error).toMatchObject({ message: expect.stringContaining(asyncFunction) })
      expect(names()).toEqual(['Ada'])
    })

    test("refuses an async function as a raw client's transaction", async () => {
      const { $client: client } = db
      const insert = client.prepare('insert into authors (name) values (?)')

      const error = thrown(
        client.transaction(async () => {
          insert.run('lost')
          await Promise.resolve()
          insert.run('lost too')
        }),
      )

      expect(error).toMatchObject({ message: expect.stringContaining(asyncFunction) })
      await Promise.resolve()
      expect(names()).toEqual(['Ada'])
    })

    test('refuses a query that a transaction returned instead of running it', async () => {
      const error = thrown(() => db.transaction((tx) => tx.insert(authors).values({ name: 'lost' })))

      expect(error).toMatchObject({ message: expect.stringContaining(asyncFunction) })
      expect(names()).toEqual(['Ada'])
    })

    test('refuses the handle of a transaction that is over', () => {
      const tx = db.transaction((tx) => tx)

      const error = thrown(() => add(tx, 'late'))

      expect(error).toMatchObject({ message: 'This transaction is over: its handle is of no use any more.' })
      expect(names()).toEqual(['Ada'])
    })

    test('lets what a transaction started go on after it', async () => {
      const { after } = db.transaction((tx) => {
        add(tx, 'inside')
        return { after: Promise.resolve().then(() => add(db, 'after')) }
      })

      await after

      expect(names()).toEqual(['Ada', 'inside', 'after'])
    })

    test('checks a deferred foreign key when the transaction commits', ({ ada }) => {
      const book = (author_id: number) => ({ author_id, title: 'Notes' })

      const good = db.transaction((tx) => {
        tx.insert(books).values(book(7)).run()
        return tx.insert(authors).values({ id: 7, name: 'late' }).returning().get()
      })
      const broken = thrown(() => db.transaction((tx) => tx.insert(books).values(book(8)).run()))
      const alone = thrown(() => db.insert(books).values(book(9)).run())

      expect(good).toEqual({ id: 7, name: 'late' })
      expect(broken).toMatchObject({ code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
      expect(alone).toMatchObject({ code: 'SQLITE_CONSTRAINT_FOREIGNKEY' })
      expect(db.select({ author: books.author_id }).from(books).all()).toEqual([{ author: 7 }])
      expect(db.insert(books).values(book(ada.id)).returning().all()).toHaveLength(1)
    })

    test('opens the database with what the app set on its client', () => {
      expect(db.all(sql`select foreign_keys, cache_size from pragma_foreign_keys, pragma_cache_size`)).toEqual([
        { foreign_keys: 1, cache_size: 1234 },
      ])
    })

    test("serves the raw client's statements and transactions", () => {
      const { $client: client } = db
      const insert = client.prepare('insert into authors (name) values (?)')
      const both = client.transaction((...all: string[]) => {
        for (const name of all) insert.run(name)
        return client.inTransaction
      })

      expect(both('a', 'b')).toBe(true)
      expect(thrown(() => both('c', 'a'))).toMatchObject({ code: 'SQLITE_CONSTRAINT_UNIQUE' })
      expect(client.inTransaction).toBe(false)
      client.exec("insert into authors (name) values ('d')")
      expect([...client.query('select name from authors order by id').iterate()]).toEqual([
        { name: 'Ada' },
        { name: 'a' },
        { name: 'b' },
        { name: 'd' },
      ])
    })
  })
}

describe('the outer handle inside a transaction', () => {
  test('is an error that undoes it at the level savepoint', () => {
    const error = thrown(() =>
      db.transaction((tx) => {
        add(tx, 'inside')
        add(db, 'outside')
      }),
    )

    expect(error).toMatchObject({
      message: expect.stringContaining('The outer database handle was used inside a transaction (insert into'),
    })
    expect(names()).toEqual(['Ada'])
  })

  test('is what it is in production in a fork: the same connection', { isolation: 'fork' }, ({ ledger }) => {
    thrown(() =>
      db.transaction((tx) => {
        add(tx, 'inside')
        add(db, 'outside')
        tx.rollback()
      }),
    )

    const inserts = ledger.statements.filter(({ text }) => text.startsWith('insert'))
    expect(inserts.map(({ params, outside = false }) => [params, outside])).toEqual([
      [['inside'], false],
      [['outside'], true],
    ])
    expect(names()).toEqual(['Ada'])
  })
})

describe('a raw BEGIN', () => {
  test('is refused at the level savepoint, with the way out', () => {
    const error = thrown(() => db.run(sql`begin`))

    expect(error).toMatchObject({ cause: { message: expect.stringContaining("{ isolation: 'fork' }") } })
  })

  test('works in a fork', { isolation: 'fork' }, () => {
    db.run(sql`begin`)
    add(db, 'lost')
    db.run(sql`rollback`)

    expect(names()).toEqual(['Ada'])
  })
})

describe('the ledger of synchronous statements', () => {
  test('says how deep each was', ({ ledger }) => {
    add(db, 'a')
    db.transaction((tx) => {
      add(tx, 'b')
      tx.transaction((inner) => add(inner, 'c'))
    })

    const inserts = ledger.statements.filter(({ text }) => text.startsWith('insert'))
    expect(inserts.map(({ params, depth }) => [params, depth])).toEqual([
      [['a'], 0],
      [['b'], 1],
      [['c'], 2],
    ])
  })

  test('says what was undone by savepoints of the app', ({ ledger }) => {
    db.transaction((tx) => {
      add(tx, 'kept')
      tx.run(sql`SAVEPOINT "mine"`)
      add(tx, 'undone')
      tx.run(sql`ROLLBACK TO mine`)
      add(tx, 'kept after it')
    })

    const inserts = ledger.statements.filter(({ text }) => text.startsWith('insert'))
    expect(inserts.map(({ params, undone = false }) => [...params, undone])).toEqual([
      ['kept', false],
      ['undone', true],
      ['kept after it', false],
    ])
  })

  test('says what was undone', ({ ledger }) => {
    db.transaction((tx) => {
      add(tx, 'kept')
      thrown(() =>
        tx.transaction((inner) => {
          add(inner, 'undone inside')
          inner.rollback()
        }),
      )
      tx.transaction((inner) => add(inner, 'kept inside'))
    })
    thrown(() =>
      db.transaction((tx) => {
        tx.transaction((inner) => add(inner, 'undone with the one around it'))
        tx.rollback()
      }),
    )

    const inserts = ledger.statements.filter(({ text }) => text.startsWith('insert'))
    expect(inserts.map(({ params, undone = false }) => [...params, undone])).toEqual([
      ['kept', false],
      ['undone inside', true],
      ['kept inside', false],
      ['undone with the one around it', true],
    ])
  })
})
