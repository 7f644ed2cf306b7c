import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect, type Database } from '../../src/database/database'
import { quota_months, quota_reservations, tenant_settings, usage_records } from '../../src/database/tables'
import { FakeProvider, hangs } from '../fake-provider'
import { emptyDatabase, rowsOf, seeingAll } from '../own-database'
import { asksAt, type Served, seed, startServer } from './program'

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

const hello = JSON.stringify({ message: 'Hello' })
const chat = ({ url }: Served, token: string) =>
  fetch(`${url}/api/v1/chat`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: hello,
  })
const codeOf = async (answer: Promise<Response>) => {
  const response = await answer
  return response.status === 200 ? 200 : ((await response.json()) as { code: string }).code
}

/** A tenant that has room for one chat. */
async function oneLeft(url: string): Promise<string> {
  const { token } = await seed(url)
  await change(url, (database) => database.update(tenant_settings).set({ monthly_token_quota: 1 }))
  return token
}

async function counted(url: string) {
  await using connection = connect(url)
  const months = await rowsOf(connection, 'select used, reserved from quota_months')
  const reservations = await rowsOf(connection, 'select id from quota_reservations')
  const records = await rowsOf(connection, 'select prompt_tokens + completion_tokens as tokens from usage_records')
  const sum = records.reduce((all, { tokens }) => all + Number(tokens), 0)
  return {
    months: months.map(({ used, reserved }) => ({ used: Number(used), reserved: Number(reserved) })),
    reservations: reservations.length,
    records: { count: records.length, sum },
  }
}

describe('A quota', () => {
  test('with room for one admits one of fifty chats that ask two processes at once', async () => {
    await using database = await emptyDatabase()
    const token = await oneLeft(database.url)
    await using first = await startServer({ DATABASE_URL: database.url })
    await using second = await startServer({ DATABASE_URL: database.url })

    const codes = await Promise.all(
      Array.from({ length: 50 }, (_, n) => codeOf(chat(n % 2 === 0 ? first : second, token))),
    )

    expect(codes.filter((code) => code === 200)).toHaveLength(1)
    expect(codes.filter((code) => code === 'quota_exceeded')).toHaveLength(49)
    const { months, reservations, records } = await counted(database.url)
    expect(records.count).toBe(1)
    expect({ months, reservations }).toEqual({ months: [{ used: records.sum, reserved: 0 }], reservations: 0 })
  })

  test('that a killed process holds is held until it expires, and given back then', async () => {
    await using database = await emptyDatabase()
    const token = await oneLeft(database.url)
    await using fake = new FakeProvider()
    fake.does(hangs)
    const env = { DATABASE_URL: database.url, ...asksAt(fake) }
    await using killed = await startServer(env)
    const asked = fake.nextAsked()
    const unanswered = codeOf(chat(killed, token)).catch(() => 'no answer')
    await asked

    killed.kill('SIGKILL')
    await killed.exited
    await using next = await startServer(env)
    const early = await codeOf(chat(next, token))
    await expire(database.url)
    const later = await codeOf(chat(next, token))

    expect([await unanswered, early, later]).toEqual(['no answer', 'quota_exceeded', 200])
    const { months, records } = await counted(database.url)
    expect(records.count).toBe(1)
    expect(months).toEqual([{ used: records.sum, reserved: 0 }])
  })

  test('that a killed process holds for a reply it stored is settled when the next one starts', async () => {
    await using database = await emptyDatabase()
    const token = await oneLeft(database.url)
    await using killed = await startServer({ DATABASE_URL: database.url })
    const answered = await codeOf(chat(killed, token))
    killed.kill('SIGKILL')
    await killed.exited
    await unsettle(database.url)
    const before = await counted(database.url)

    await using next = await startServer({ DATABASE_URL: database.url })

    const after = await counted(database.url)
    expect([answered, await codeOf(chat(next, token))]).toEqual([200, 'quota_exceeded'])
    expect(before).toMatchObject({ months: [{ used: 0, reserved: 100 }], reservations: 1 })
    expect(after).toMatchObject({ months: [{ used: after.records.sum, reserved: 0 }], reservations: 0 })
  })
})

const expire = (url: string) =>
  change(url, (database) => database.update(quota_reservations).set({ expires_at: new Date(0) }))

/** Puts things as they were between the commit of the reply and its settling, a moment too short to be hit by a kill. */
const unsettle = (url: string) =>
  change(url, async (database) => {
    const [record] = await database.select().from(usage_records)
    const [counted] = await database.update(quota_months).set({ used: 0, reserved: 100 }).returning()
    if (!record || !counted) throw new Error('There is no reply to unsettle.')
    const { tenant_id, id } = record
    // Far from expired: that there is a usage record says that the reply is over.
    const expires_at = new Date('2999-01-01')
    await database.insert(quota_reservations).values({ tenant_id, id, month: counted.month, tokens: 100, expires_at })
  })

async function change(url: string, work: (database: Database) => PromiseLike<unknown>): Promise<void> {
  await using connection = connect(url)
  await seeingAll(() => work(connection.database))
}
