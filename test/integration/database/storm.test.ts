import { afterAll, test as anyTest, describe, expect } from 'bun:test'
import { eq, like } from 'drizzle-orm'
import { Elysia } from 'elysia'
import { isUniqueViolation } from '../../../src/database/database'
import { tenant_settings, tenants } from '../../../src/database/tables'
import { ownDatabase, sandboxIn } from '../../own-database'

// They write to one database.
const test = anyTest.serial

const own = await ownDatabase({ unbound: true })
afterAll(() => own[Symbol.asyncDispose]())
const { database } = own

const stamps = { created_at: new Date('2026-03-02T09:00:00.000Z'), updated_at: new Date('2026-03-02T09:00:00.000Z') }
const counterId = '01960000-0000-7000-8000-000000000001'
const add = async (slug: string): Promise<void> =>
  void (await database.insert(tenants).values({ id: Bun.randomUUIDv7(), slug, name: slug, ...stamps }))

/** Lets others run in between, a different number of times for each. */
async function yields(number: string): Promise<void> {
  for (let left = Number(number) % 5; left > 0; left--) await new Promise((resolve) => setImmediate(resolve))
}

async function countUp(number: string): Promise<void> {
  const mine = eq(tenant_settings.tenant_id, counterId)
  const [found] = await database.select({ count: tenant_settings.retention_days }).from(tenant_settings).where(mine)
  await yields(number)
  await database
    .update(tenant_settings)
    .set({ retention_days: (found?.count ?? 0) + 1 })
    .where(mine)
}

/** Everything that a handler may do with a database, all at the same time. */
const app = new Elysia()
  .post('/plain/:n', async ({ params: { n } }) => {
    await yields(n)
    await add(`plain-${n}`)
    return 'added'
  })
  .post('/transaction/:n', ({ params: { n } }) =>
    database.transaction(async () => {
      await add(`transaction-${n}`)
      await yields(n)
      await countUp(n)
      return 'counted'
    }),
  )
  .post('/undone/:n', async ({ params: { n }, status }) => {
    const error = await database
      .transaction(async () => {
        await add(`lost-${n}`)
        await yields(n)
        throw new Error('undone')
      })
      .catch((error: Error) => error)
    return status(409, error.message)
  })
  .post('/nested/:n', ({ params: { n } }) =>
    database.transaction(async () => {
      await add(`outer-${n}`)
      const siblings = ['a', 'b', 'c'].map((name) =>
        database
          .transaction(async () => {
            await yields(n)
            await add(name === 'b' ? `lost-nested-${n}` : `inner-${n}-${name}`)
            if (name === 'b') throw new Error('undone')
            return 'kept'
          })
          .catch((error: Error) => error.message),
      )
      return (await Promise.all(siblings)).join()
    }),
  )
  .post('/taken/:n', async ({ status }) => {
    const refused = await add('counter').then(() => false, isUniqueViolation)
    return status(409, refused)
  })
  .post('/taken-inside/:n', ({ params: { n } }) =>
    database.transaction(async () => {
      await add(`before-${n}`)
      const refused = await database.transaction(() => add('counter')).then(() => false, isUniqueViolation)
      await add(`after-${n}`)
      return refused
    }),
  )
  .get('/dirty/:n', async ({ params: { n } }) => {
    await yields(n)
    return (await database.select({ slug: tenants.slug }).from(tenants).where(like(tenants.slug, 'lost-%'))).length
  })

/** What each answers, and the rows that it leaves. */
const kinds = [
  { method: 'POST', path: '/plain', answer: [200, 'added'], leaves: ['plain-#'] },
  { method: 'POST', path: '/transaction', answer: [200, 'counted'], leaves: ['transaction-#'] },
  { method: 'POST', path: '/undone', answer: [409, 'undone'], leaves: [] },
  { method: 'POST', path: '/nested', answer: [200, 'kept,undone,kept'], leaves: ['outer-#', 'inner-#-a', 'inner-#-c'] },
  { method: 'POST', path: '/taken', answer: [409, 'true'], leaves: [] },
  { method: 'POST', path: '/taken-inside', answer: [200, 'true'], leaves: ['before-#', 'after-#'] },
  { method: 'GET', path: '/dirty', answer: [200, '0'], leaves: [] },
] as const
const requests = Array.from({ length: 10 * kinds.length }, (_, n) => ({ n, kind: kinds[n % kinds.length] ?? kinds[0] }))

async function storm() {
  await database.insert(tenants).values({ id: counterId, slug: 'counter', name: 'Counter', ...stamps })
  await database
    .insert(tenant_settings)
    .values({ tenant_id: counterId, retention_days: 0, updated_at: stamps.updated_at })
  const answers = await Promise.all(
    requests.map(async ({ n, kind: { method, path } }) => {
      const response = await app.handle(new Request(`http://localhost${path}/${n}`, { method }))
      return [response.status, await response.text()]
    }),
  )
  const rows = await database.select({ slug: tenants.slug }).from(tenants)
  const [settings] = await database.select({ count: tenant_settings.retention_days }).from(tenant_settings)
  return { answers, slugs: rows.map(({ slug }) => slug).sort(), count: settings?.count }
}

const calm = {
  answers: requests.map(({ kind }) => [...kind.answer]),
  slugs: ['counter', ...requests.flatMap(({ n, kind }) => kind.leaves.map((slug) => slug.replace('#', `${n}`)))].sort(),
  count: 10,
}

describe('a storm of concurrent requests', () => {
  test.each([1, 2, 3])('leaves a database as if they had come one after the other, time %d', async () => {
    const outcome = await storm()

    await database.delete(tenants)
    expect(outcome).toEqual(calm)
  })

  test.each([1, 2, 3])('does the same in a sandbox, and leaves nothing behind, time %d', async () => {
    const { enter, rollback } = await sandboxIn(own)

    const outcome = await enter(storm)

    await rollback()
    expect(outcome).toEqual(calm)
    expect(await database.$count(tenants)).toBe(0)
  })
})
