import { describe, expect, test } from 'bun:test'
import { eq } from 'drizzle-orm'
import { connect, isUniqueViolation } from '../../../src/database/database'
import { dialect } from '../../../src/database/dialect'
import { asTenant, currentReach } from '../../../src/database/reach'
import { Scope } from '../../../src/database/session'
import { tenants, users } from '../../../src/database/tables'
import { ownDatabase } from '../../own-database'

const now = new Date('2026-03-02T09:00:00.000Z')
const row = (slug: string) => ({ id: Bun.randomUUIDv7(), slug, name: slug, created_at: now, updated_at: now })

/** An empty database, and a second connection to it, which sees what is committed and nothing else. */
async function opened() {
  const own = await ownDatabase()
  const other = connect(own.url)
  const { database } = own
  const slugsIn = async ({ database }: Pick<typeof own, 'database'>) =>
    (await database.select({ slug: tenants.slug }).from(tenants).orderBy(tenants.slug)).map(({ slug }) => slug)
  return {
    database,
    add: async (slug: string) => void (await database.insert(tenants).values(row(slug))),
    rename: async (slug: string, name: string) => {
      const renamed = await database.update(tenants).set({ name }).where(eq(tenants.slug, slug)).returning()
      if (renamed.length === 0) throw new Error(`There is no ${slug}.`)
    },
    seen: () => slugsIn(own),
    seenOutside: () => own.root.enter(() => slugsIn(own)),
    committed: () => other.root.enter(() => slugsIn(other)),
    async [Symbol.asyncDispose]() {
      await other[Symbol.asyncDispose]()
      await own[Symbol.asyncDispose]()
    },
  }
}

// Postgres has a connection for each, and its own way to write several commits at once.
describe.if(dialect === 'sqlite')('transactions that come together', () => {
  test('are committed together, and none is told before', async () => {
    await using own = await opened()
    const { database, add, committed } = own
    const told: string[] = []
    const seenByOthers: string[][] = []
    const insert = (slug: string) =>
      database
        .transaction(async () => {
          await add(slug)
          seenByOthers.push(await committed())
        })
        .then(async () => told.push(`${slug} when there were ${await committed()}`))

    await Promise.all(['a', 'b', 'c'].map(insert))

    expect(seenByOthers).toEqual([[], [], []])
    expect(told.toSorted()).toEqual(['a', 'b', 'c'].map((slug) => `${slug} when there were a,b,c`))
  })

  test('see each other in the order in which they came', async () => {
    await using own = await opened()
    const { database, add, seen } = own

    const found = await Promise.all(
      ['a', 'b', 'c'].map((slug) =>
        database.transaction(async () => {
          await add(slug)
          return await seen()
        }),
      ),
    )

    expect(found).toEqual([['a'], ['a', 'b'], ['a', 'b', 'c']])
  })

  test('fail alone: what one has written is undone, the others are kept', async () => {
    await using own = await opened()
    const { database, add, seen } = own
    await add('taken')
    const attempts: string[] = []
    const insert = (...slugs: string[]) =>
      database.transaction(async () => {
        attempts.push(slugs.join(' '))
        for (const slug of slugs) await add(slug)
      })

    const results = await Promise.allSettled([insert('a'), insert('b', 'taken'), insert('c'), insert('d')])

    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    expect(isUniqueViolation((results[1] as PromiseRejectedResult).reason)).toBe(true)
    expect(await seen()).toEqual(['a', 'c', 'd', 'taken'])
    expect(attempts.toSorted()).toEqual(['a', 'a', 'b taken', 'b taken', 'c', 'd'])
  })

  test('are not done again where the one that failed had written nothing', async () => {
    await using own = await opened()
    const { database, add, rename, seen } = own
    const attempts: string[] = []
    const run = (name: string, work: () => Promise<void>) =>
      database.transaction(async () => {
        attempts.push(name)
        await work()
      })

    const results = await Promise.allSettled([
      run('add a', () => add('a')),
      run('rename x', () => rename('x', 'X')),
      run('add b', () => add('b')),
    ])

    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(attempts).toEqual(['add a', 'rename x', 'add b'])
    expect(await seen()).toEqual(['a', 'b'])
  })

  test('fail alone where only the commit fails', async () => {
    await using own = await opened()
    const { database, add, seen } = own
    const orphan = () =>
      database.transaction(async () => {
        await Scope.current()?.run({ text: 'pragma defer_foreign_keys = on', params: [], shape: 'arrays' })
        const ids = {
          tenant_id: Bun.randomUUIDv7(),
          id: Bun.randomUUIDv7(),
          external_id: 'olivia',
          email: 'o@x.example',
        }
        await database.insert(users).values({ ...ids, role: 'viewer', created_at: now, updated_at: now })
      })

    const results = await Promise.allSettled([
      database.transaction(() => add('a')),
      orphan(),
      database.transaction(() => add('b')),
    ])

    expect(results).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' } },
      { status: 'fulfilled' },
    ])
    expect(await seen()).toEqual(['a', 'b'])
  })

  test('show a statement outside of them nothing that may be undone', async () => {
    await using own = await opened()
    const { database, add, seen } = own
    const read: Promise<string[]>[] = []
    const failing = async () => {
      await add('undone')
      read.push(own.seenOutside())
      throw new Error('Not this one.')
    }

    const results = await Promise.allSettled([database.transaction(() => add('kept')), database.transaction(failing)])

    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(await Promise.all(read)).toEqual([[], ['kept']])
    expect(await seen()).toEqual(['kept'])
  })

  test('announce once what they were to announce, and nothing of what was undone', async () => {
    await using own = await opened()
    const { database, add } = own
    const announced: string[] = []
    const insert = (slug: string, then: () => void = () => {}) =>
      database.transaction(async () => {
        await add(slug)
        database.afterCommit(() => announced.push(slug))
        then()
      })
    const fail = () => {
      throw new Error('Not this one.')
    }

    await Promise.allSettled([insert('a'), insert('b', fail), insert('c')])

    expect(announced.toSorted()).toEqual(['a', 'c'])
  })

  test('run as whose they are', async () => {
    await using own = await opened()
    const { database, add } = own
    const ids = [Bun.randomUUIDv7(), Bun.randomUUIDv7()]

    const reached = await Promise.all(
      ids.map((id) =>
        asTenant(id, () =>
          database.transaction(async () => {
            await add(id)
            return currentReach()
          }),
        ),
      ),
    )

    expect(reached).toEqual(ids)
  })
})
