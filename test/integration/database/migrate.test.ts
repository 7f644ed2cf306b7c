import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { tenantsToVerify, verifyRollups } from '../../../src/analytics/verify'
import { tenantTables } from '../../../src/database/catalogue'
import { type Connection, connect } from '../../../src/database/database'
import { dialect } from '../../../src/database/dialect'
import { type Migration, migrate } from '../../../src/database/migrate'
import { migrations } from '../../../src/database/migrations'
import { fillDemo } from '../../../src/demo'
import { systemClock } from '../../../src/ids'
import { emptyDatabase, everything, rowsOf, seeingAll } from '../../own-database'

const allTags = migrations.map(({ tag }) => tag)

const parents: Migration = {
  tag: '0000_parents',
  when: 1,
  sql: `create table parents (id integer primary key, name text not null)
    --> statement-breakpoint
    create table children (id integer primary key, parent_id integer not null references parents (id) on delete cascade)
    --> statement-breakpoint
    insert into parents values (1, 'one'), (2, 'two')
    --> statement-breakpoint
    insert into children values (10, 1), (11, 1), (12, 2)`,
}

/** What drizzle-kit writes when a column of a table changes: SQLite cannot alter it in place. */
const rebuild: Migration = {
  tag: '0001_rebuild',
  when: 2,
  sql: `create table new_parents (id integer primary key, name text not null default 'nobody')
    --> statement-breakpoint
    insert into new_parents select id, name from parents
    --> statement-breakpoint
    drop table parents
    --> statement-breakpoint
    alter table new_parents rename to parents`,
}

const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => error,
  )

/** Of every tenant table, in an order that no index decides; one that a later step adds has none. */
async function ownRows(connection: Connection) {
  const all = await everything(connection)
  return Object.fromEntries(
    tenantTables.map(({ name }) => [name, (all[name] ?? []).map((row) => JSON.stringify(row)).sort()]),
  )
}

const tagsIn = async (connection: Connection) =>
  (await rowsOf(connection, 'select tag from migrations order by tag')).map(({ tag }) => tag)

describe('migrate', () => {
  test('applies every step once, oldest first, and nothing the second time', async () => {
    await using empty = await emptyDatabase()
    await using connection = connect(empty.url)

    const [first, second] = [await migrate(connection.root), await migrate(connection.root)]

    expect(first).toEqual(allTags)
    expect(second).toEqual([])
    expect(await tagsIn(connection)).toEqual(allTags)
  })

  test('applies only what is new', async () => {
    await using empty = await emptyDatabase()
    await using connection = connect(empty.url)
    await migrate(connection.root, [parents])
    const later = { tag: '0001_later', when: 2, sql: "insert into parents values (3, 'three')" }

    const applied = await migrate(connection.root, [parents, later])

    expect(applied).toEqual(['0001_later'])
    expect(await rowsOf(connection, 'select count(*) as parents from parents')).toMatchObject([
      { parents: expect.anything() },
    ])
    expect((await everything(connection)).parents).toHaveLength(3)
  })

  test('leaves the database as it was when a step fails', async () => {
    await using empty = await emptyDatabase()
    await using connection = connect(empty.url)
    await migrate(connection.root, [parents])
    const before = await everything(connection)
    const good = { tag: '0001_good', when: 2, sql: 'create table good (id integer)' }
    const bad = {
      tag: '0002_bad',
      when: 3,
      sql: "insert into parents values (3, 'three') --> statement-breakpoint\nnonsense",
    }

    const error = await rejection(migrate(connection.root, [parents, good, bad]))

    expect((error as Error).message).toMatch(/syntax error/)
    expect(await everything(connection)).toEqual(before)
    expect(await migrate(connection.root, [parents, good])).toEqual(['0001_good'])
  })

  test('is done once by processes that start at the same time', async () => {
    await using empty = await emptyDatabase()
    const start = () =>
      Bun.spawn([process.execPath, join(import.meta.dir, '../../../src/cli.ts'), 'migrate'], {
        env: { DATABASE_URL: empty.url },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    const processes = [start(), start(), start()]

    const codes = await Promise.all(processes.map(({ exited }) => exited))

    const errors = await Promise.all(processes.map(({ stderr }) => new Response(stderr).text()))
    await using connection = connect(empty.url)
    expect({ codes, errors }).toEqual({ codes: [0, 0, 0], errors: ['', '', ''] })
    expect(await tagsIn(connection)).toEqual(allTags)
  })
})

describe.if(dialect === 'postgres')('migrate on Postgres', () => {
  test('is done once by connections that come at the same time', async () => {
    await using empty = await emptyDatabase()
    await using one = connect(empty.url)
    await using two = connect(empty.url)

    const applied = await Promise.all([migrate(one.root), migrate(two.root)])

    expect(applied.flat()).toEqual(allTags)
  })
})

/** Steps that left the columns as they are today, so that today's code can fill a database there. */
const sinceColumnsAreTheSame = allTags.slice(allTags.indexOf('0004_quotas'), -1)

describe('a database in use', () => {
  test.each(sinceColumnsAreTheSame)('keeps every row when it comes from %s', (tag) =>
    seeingAll(async () => {
      await using empty = await emptyDatabase()
      await using connection = connect(empty.url)
      await migrate(connection.root, migrations.slice(0, allTags.indexOf(tag) + 1))
      await fillDemo(connection.database, systemClock)
      const before = await ownRows(connection)

      await migrate(connection.root)

      expect(before.messages?.length).toBeGreaterThan(0)
      expect(await ownRows(connection)).toEqual(before)
      for (const { id } of await tenantsToVerify(connection.database))
        expect(await verifyRollups(connection.database, id)).toEqual([])
    }),
  )
})

describe.if(dialect === 'sqlite')('migrate on SQLite', () => {
  test('keeps the rows that refer to a table it rebuilds, and the foreign keys between them', async () => {
    await using empty = await emptyDatabase()
    await using connection = connect(empty.url)
    await migrate(connection.root, [parents])

    await migrate(connection.root, [parents, rebuild])

    expect((await everything(connection)).children).toEqual([
      { id: 10, parent_id: 1 },
      { id: 11, parent_id: 1 },
      { id: 12, parent_id: 2 },
    ])
    await rowsOf(connection, 'delete from parents where id = 1')
    expect((await everything(connection)).children).toEqual([{ id: 12, parent_id: 2 }])
  })

  test('undoes a step that would leave rows without what they refer to', async () => {
    await using empty = await emptyDatabase()
    await using connection = connect(empty.url)
    await migrate(connection.root, [parents])
    const careless = { ...rebuild, sql: rebuild.sql.replace('from parents', 'from parents where id = 2') }

    const error = await rejection(migrate(connection.root, [parents, careless]))

    expect(error).toEqual(new Error('The migration would leave 2 rows with broken foreign keys; nothing was changed.'))
    expect(await everything(connection)).toMatchObject({ parents: [{ id: 1 }, { id: 2 }], children: [{}, {}, {}] })
    expect(await rowsOf(connection, 'pragma foreign_keys')).toEqual([{ foreign_keys: 1 }])
  })

  test('writes nothing more after the database has undone the whole transaction by itself', async () => {
    await using empty = await emptyDatabase()
    await using connection = connect(empty.url)
    await migrate(connection.root, [parents])
    const statement = (text: string) => ({ text, params: [], shape: 'arrays' }) as const

    const error = await rejection(
      connection.root.session.nest(async (outer) => {
        await outer
          .nest((inner) => inner.run(statement("insert or rollback into parents values (1, 'x')")))
          .catch(() => {})
        await outer.run(statement("insert into parents values (9, 'committed by itself')"))
      }),
    )

    expect(error).toEqual(new Error('The database has undone the whole transaction'))
    expect((await everything(connection)).parents).toHaveLength(2)
  })
})
