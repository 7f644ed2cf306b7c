import { afterAll, afterEach, test as anyTest, beforeEach, describe, expect } from 'bun:test'
import { eq } from 'drizzle-orm'
import { dialect } from '../../../src/database/dialect'
import { tenants } from '../../../src/database/tables'
import { ownDatabase } from '../../own-database'

// They write to one database.
const test = anyTest.serial

const own = await ownDatabase({ unbound: true })
afterAll(() => own[Symbol.asyncDispose]())
const { database } = own

const at = new Date('2026-03-02T09:00:00.000Z')
const ids = { one: '01960000-0000-7000-8000-000000000001', two: '01960000-0000-7000-8000-000000000002' }
type Row = keyof typeof ids

beforeEach(async () => {
  await database.insert(tenants).values([
    { id: ids.one, slug: 'one', name: '0', created_at: at, updated_at: at },
    { id: ids.two, slug: 'two', name: '0', created_at: at, updated_at: at },
  ])
})
afterEach(async () => {
  await database.delete(tenants)
})

const read = async (row: Row): Promise<number> => {
  const [found] = await database.select({ name: tenants.name }).from(tenants).where(eq(tenants.id, ids[row]))
  return Number(found?.name)
}
const write = async (row: Row, value: number): Promise<void> =>
  void (await database
    .update(tenants)
    .set({ name: String(value) })
    .where(eq(tenants.id, ids[row])))

describe('transactions at the same time', () => {
  test('lose no update when 32 of them read and write one row', async () => {
    const increments = Array.from({ length: 32 }, () =>
      database.transaction(async () => {
        await write('one', (await read('one')) + 1)
      }),
    )

    await Promise.all(increments)

    expect(await read('one')).toBe(32)
  })

  test('end as if one came after the other when each reads what the other writes', async () => {
    const crossed = (from: Row, to: Row) =>
      database.transaction(async () => {
        await write(to, (await read(from)) + 1)
      })

    await Promise.all([crossed('one', 'two'), crossed('two', 'one')])

    expect([await read('one'), await read('two')].sort()).toEqual([1, 2])
  })
})

// SQLite has one writer, so there one transaction waits for the other and nothing clashes.
describe.if(dialect === 'postgres')('a transaction that clashed with another', () => {
  /** Reads, lets another transaction write what was read, and writes. Only the first attempt meets the other. */
  const clashing = (onClash: (error: unknown) => void) => {
    let attempts = 0
    const result = database.transaction(async () => {
      attempts++
      const before = await read('one')
      if (attempts === 1) await elsewhere(() => write('one', 10))
      // In a transaction of its own, whose failure the outer one outlives.
      await database.transaction(() => write('one', before + 1)).catch(onClash)
      return attempts
    })
    return result
  }
  const elsewhere = (work: () => Promise<void>) => own.root.enter(() => database.transaction(work))

  test('is done again with what is there now', async () => {
    const attempts = await clashing((error) => {
      throw error
    })

    expect(attempts).toBe(2)
    expect(await read('one')).toBe(11)
  })

  test('is done again even if its work took the clash for something else', async () => {
    const attempts = await clashing(() => {})

    expect(attempts).toBe(2)
    expect(await read('one')).toBe(11)
  })

  test('is done again as often as others are faster, as where many speak in one conversation', async () => {
    let attempts = 0

    await database.transaction(async () => {
      const before = await read('one')
      if (++attempts <= 12) await elsewhere(() => write('one', attempts))
      await write('one', before + 100)
    })

    expect(attempts).toBe(13)
    expect(await read('one')).toBe(112)
  })

  test('announces only what its last attempt did', async () => {
    const heard: string[] = []
    let attempts = 0

    await database.transaction(async () => {
      const attempt = ++attempts
      const before = await read('one')
      database.afterCommit(() => void heard.push(`attempt ${attempt}`))
      if (attempt === 1) await elsewhere(() => write('one', 10))
      await database.transaction(async () => {
        await write('one', before + 1)
        database.afterCommit(() => void heard.push(`inside attempt ${attempt}`))
      })
    })

    expect(heard).toEqual(['attempt 2', 'inside attempt 2'])
  })

  test('is done again when two wait for each other', async () => {
    const met = { one: Promise.withResolvers<void>(), two: Promise.withResolvers<void>() }
    const crossed = (first: Row, second: Row) =>
      database.transaction(async () => {
        await write(first, (await read(first)) + 1)
        met[first].resolve()
        await met[second].promise
        await write(second, (await read(second)) + 1)
      })

    await Promise.all([crossed('one', 'two'), crossed('two', 'one')])

    expect([await read('one'), await read('two')]).toEqual([2, 2])
  })
})
