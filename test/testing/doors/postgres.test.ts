import { afterAll, expect } from 'bun:test'
import { join } from 'node:path'
import { eq, getTableColumns, relations, sql } from 'drizzle-orm'
import { bigint, integer, jsonb, numeric, pgTable, text, timestamp } from 'drizzle-orm/pg-core'
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import { migrate } from 'drizzle-orm/postgres-js/migrator'
import { Elysia } from 'elysia'
import postgres, { type Sql } from 'postgres'
import { createKit, drizzlePostgres, openRunDatabase } from '../../../src/testing'
import { connectPostgres } from '../../../src/testing/postgres-session'
import { runDatabase } from '../../setup'

const authors = pgTable('authors', {
  id: integer().primaryKey().generatedByDefaultAsIdentity(),
  name: text().notNull(),
})
const books = pgTable('books', {
  id: integer().primaryKey().generatedByDefaultAsIdentity(),
  author_id: integer().notNull(),
  title: text().notNull(),
  published_at: timestamp({ withTimezone: true }),
  details: jsonb(),
  tags: text().array(),
  copies: bigint({ mode: 'bigint' }),
  price: numeric(),
})
const schema = {
  authors,
  books,
  authorsRelations: relations(authors, ({ many }) => ({ books: many(books) })),
  booksRelations: relations(books, ({ one }) => ({
    author: one(authors, { fields: [books.author_id], references: [authors.id] }),
  })),
}
type Db = PostgresJsDatabase<typeof schema> & { $client: Sql }

/** What this app gives its client beside the address: int8 comes as a BigInt. */
const options = { types: { bigint: postgres.BigInt } }
const migrationsFolder = join(import.meta.dir, 'postgres')

const whole = {
  title: 'Notes',
  published_at: new Date('2026-03-02T09:00:00.000Z'),
  details: { pages: [1, 2], cover: null },
  tags: ['a', 'b,"c"'],
  copies: 9_007_199_254_740_993n,
  price: '12.50',
}
/** A row there and back, and values that Drizzle does not map. */
async function valuesOf(db: Db) {
  const [author] = await db.insert(authors).values({ name: 'Bo' }).returning()
  await db.insert(books).values({ author_id: author?.id ?? 0, ...whole })
  const found = await db.query.authors.findFirst({
    where: eq(authors.name, 'Bo'),
    columns: { name: true },
    with: { books: { columns: { title: true, published_at: true, details: true, tags: true } } },
  })
  const { id, author_id, ...columns } = getTableColumns(books)
  const selected = await db.select(columns).from(books)
  const { $client } = db
  const raw = await $client`
    select ${'1970-01-01T00:00:00Z'}::timestamptz as time, ${'{"a":[1]}'}::jsonb as json, ${$client.array([1, 2])}::int[] as list,
      5::bigint as big, ${true} as yes, null as nothing, 'x'::bytea as bytes`
  const executed = await db.execute(sql`select ${'text'} as text, array[1,2] as list, date '2026-03-02' as day`)
  return { found, selected, raw: [...raw], columns: raw.columns.map(({ name }) => name), executed: [...executed] }
}
const expected = {
  // By relations, values come through JSON.
  found: { name: 'Bo', books: [(({ copies, price, ...rest }) => rest)(whole)] },
  selected: [whole],
  raw: [
    // Drizzle has told the client to leave times alone.
    {
      time: '1970-01-01 00:00:00+00',
      json: { a: [1] },
      list: [1, 2],
      big: 5n,
      yes: true,
      nothing: null,
      bytes: Buffer.from('x'),
    },
  ],
  columns: ['time', 'json', 'list', 'big', 'yes', 'nothing', 'bytes'],
  executed: [{ text: 'text', list: [1, 2], day: '2026-03-02' }],
}

if (runDatabase.dialect === 'postgres') {
  const { door, database: db } = drizzlePostgres((client) => drizzle(client, { schema }), options)
  const byName = db
    .select()
    .from(authors)
    .where(eq(authors.name, sql.placeholder('name')))
    .prepare('author_by_name')

  const run = await openRunDatabase()
  const kit = await createKit({
    run,
    door,
    app: new Elysia(),
    prepare: () => migrate(db, { migrationsFolder }),
    seed: async () => {
      const [ada] = await db.insert(authors).values({ name: 'Ada' }).returning()
      return { ada: ada ?? { id: 0, name: '' } }
    },
  })
  const { describe } = kit
  afterAll(() => kit.close())

  const names = async () => (await db.select().from(authors).orderBy(authors.id)).map(({ name }) => name)
  const add = async (to: Pick<Db, 'insert'>, name: string) => {
    await to.insert(authors).values({ name })
  }
  const rejection = (work: () => Promise<unknown>): Promise<unknown> =>
    work().then(
      (value) => ({ resolved: value }),
      (error: unknown) => error,
    )
  const caused = (part: string) => ({ cause: { message: expect.stringContaining(part) } })

  describe('values', (test) => {
    test('come back as the driver itself gives them', { isolation: 'fork' }, async () => {
      const [name] = await db.execute<{ name: string }>(sql`select current_database() as name`)
      const client = connectPostgres(Object.assign(new URL(run.url), { pathname: `/${name?.name}` }).href, options)

      const real = await valuesOf(drizzle(client, { schema }))

      expect(real).toEqual(expected)
      await client`truncate authors, books`
      await client.end()
      expect(await valuesOf(db)).toEqual(expected)
    })

    test('come back as they do in a fork', async () => {
      expect(await valuesOf(db)).toEqual(expected)
    })
  })

  for (const isolation of ['savepoint', 'fork'] as const) {
    describe(`drizzle-orm/postgres-js at the level ${isolation}`, { isolation }, (test) => {
      test('answers queries, prepared ones and counts', async () => {
        await add(db, 'Bo')

        expect(await names()).toEqual(['Ada', 'Bo'])
        expect(await db.$count(authors)).toBe(2)
        expect((await byName.execute({ name: 'Bo' })).map(({ name }) => name)).toEqual(['Bo'])
        const deleted = await db.execute(sql`delete from authors where name = ${'Bo'}`)
        expect(deleted).toMatchObject({ count: 1, command: 'DELETE' })
      })

      test('keeps what a transaction did, and undoes it when its function throws', async () => {
        const kept = await db.transaction(async (tx) => {
          await add(tx, 'kept')
          return 'returned'
        })
        const undone = await rejection(() =>
          db.transaction(async (tx) => {
            await add(tx, 'lost')
            tx.rollback()
          }),
        )

        expect(kept).toBe('returned')
        expect(undone).toMatchObject({ message: 'Rollback' })
        expect(await names()).toEqual(['Ada', 'kept'])
      })

      test('nests transactions', async () => {
        await db.transaction(async (tx) => {
          await add(tx, 'outer')
          await rejection(() =>
            tx.transaction(async (inner) => {
              await inner.transaction((innermost) => add(innermost, 'lost'))
              inner.rollback()
            }),
          )
          await tx.transaction((inner) => add(inner, 'inner'))
        })

        expect(await names()).toEqual(['Ada', 'outer', 'inner'])
      })

      test('undoes a transaction in which a query failed, even when it was caught', async () => {
        const error = await rejection(() =>
          db.transaction(async (tx) => {
            await add(tx, 'lost')
            await rejection(() => add(tx, 'Ada'))
          }),
        )

        expect(error).toMatchObject({ code: '23505' })
        expect(await names()).toEqual(['Ada'])
      })

      test('goes on after a unique violation outside a transaction', async () => {
        const error = await rejection(() => add(db, 'Ada'))

        expect(error).toMatchObject({ cause: { code: '23505' } })
        await add(db, 'Bo')
        expect(await names()).toEqual(['Ada', 'Bo'])
      })

      test('checks a deferred foreign key when the transaction commits', async () => {
        const book = (author_id: number) => ({ author_id, title: 'Notes' })

        await db.transaction(async (tx) => {
          await tx.insert(books).values(book(77))
          await tx.insert(authors).values({ id: 77, name: 'late' })
        })
        const broken = await rejection(() => db.transaction(async (tx) => tx.insert(books).values(book(78))))
        const alone = await rejection(async () => db.insert(books).values(book(79)))

        expect(broken).toMatchObject({ code: '23503' })
        expect(alone).toMatchObject({ cause: { code: '23503' } })
        expect(await db.select({ author: books.author_id }).from(books)).toEqual([{ author: 77 }])
      })

      test("serves the raw client's templates, fragments and helpers", async () => {
        const { $client: client } = db
        const rows = [{ name: 'a' }, { name: 'b' }]

        const inserted = await client`insert into authors ${client(rows)} returning name`

        const condition = client`where name in ${client(['a', 'Ada'])}`
        const found = await client`select ${client('name')} from ${client('authors')} ${condition} order by name`
        await client`update authors set ${client({ name: 'c' }, 'name')} where name = ${'b'}`
        const unsafe = await client.unsafe('select name from authors where name = $1', ['c']).values()
        expect([...inserted]).toEqual(rows)
        expect([...found]).toEqual([{ name: 'Ada' }, { name: 'a' }])
        expect([...unsafe]).toEqual([['c']])
      })

      test("runs the raw client's transactions, lists of queries too", async () => {
        const { $client: client } = db
        const insert = (sql: Sql | postgres.TransactionSql, name: string) => sql`insert into authors ${sql({ name })}`

        const undone = await rejection(() =>
          client.begin(async (sql) => {
            await insert(sql, 'lost')
            await sql.savepoint('inner', (sql) => insert(sql, 'lost too'))
            throw new Error('undone')
          }),
        )
        await client.begin((sql) => [insert(sql, 'a'), insert(sql, 'b')])

        expect(undone).toEqual(new Error('undone'))
        expect(await names()).toEqual(['Ada', 'a', 'b'])
      })

      test('runs a query once, however often it is awaited, and not before', async () => {
        const query = db.$client`insert into authors (name) values ('once') returning name`
        expect(await names()).toEqual(['Ada'])

        const [first, second] = [await query, await query]

        expect(first).toBe(second)
        expect(await names()).toEqual(['Ada', 'once'])
      })

      test('refuses the handle of a transaction that is over', async () => {
        const { tx } = await db.transaction(async (tx) => ({ tx }))

        const error = await rejection(() => add(tx, 'late'))

        expect(error).toMatchObject(caused('This transaction is over: something in it was not awaited.'))
        expect(await names()).toEqual(['Ada'])
      })

      test('refuses a cursor by name', async () => {
        const error = await rejection(() => db.$client`select 1`.cursor(1, () => undefined))

        expect(error).toMatchObject({ message: expect.stringContaining('does not know cursor()') })
      })
    })
  }

  describe('what needs a database of its own', (test) => {
    const isolationOf = async (tx: Pick<Db, 'execute'>) => {
      const [row] = await tx.execute<{ level: string }>(sql`select current_setting('transaction_isolation') as level`)
      return row?.level
    }
    const fork = "test(name, { isolation: 'fork' }, ...)"

    test('is refused with the way out at the level savepoint', async () => {
      const serializable = { isolationLevel: 'serializable' } as const
      const { $client: client } = db

      expect(await rejection(() => db.transaction(async () => {}, serializable))).toMatchObject(caused(fork))
      const refused = [
        () => client.begin('isolation level serializable', async () => {}),
        () => client.begin('read only', async () => {}),
        () => client.listen('news', () => {}),
        () => client.notify('news', 'x'),
        () => client.reserve(),
      ]
      expect(await Promise.all(refused.map((work) => rejection(work)))).toMatchObject(
        refused.map(() => ({ message: expect.stringContaining(fork) })),
      )
      expect(await names()).toEqual(['Ada'])
    })

    test('works in one', { isolation: 'fork' }, async () => {
      const { $client: client } = db
      const news = Promise.withResolvers<string>()

      const levels = [
        await db.transaction(isolationOf, { isolationLevel: 'serializable' }),
        await client.begin('isolation level repeatable read', async (sql) => {
          const [row] = await sql`select current_setting('transaction_isolation') as level`
          return row?.level
        }),
        await db.transaction(isolationOf),
      ]
      const { unlisten } = await client.listen('news', news.resolve)
      await client.notify('news', 'delivered')
      const reserved = await client.reserve()
      const [one] = await reserved`select 1 as one`
      reserved.release()

      expect(levels).toEqual(['serializable', 'repeatable read', 'read committed'])
      expect(await news.promise).toBe('delivered')
      expect(one).toEqual({ one: 1 })
      await unlisten()
    })

    test('the outer handle inside a transaction is an immediate error at the level savepoint', async () => {
      const error = await rejection(() =>
        db.transaction(async (tx) => {
          await add(tx, 'inside')
          await add(db, 'outside')
        }),
      )

      expect(error).toMatchObject(caused('The outer database handle was used inside a transaction'))
      expect(await names()).toEqual(['Ada'])
    })

    test('and another connection in a fork, as in production', { isolation: 'fork' }, async () => {
      await rejection(() =>
        db.transaction(async (tx) => {
          await add(db, 'outside')
          tx.rollback()
        }),
      )

      expect(await names()).toEqual(['Ada', 'outside'])
    })
  })
}
