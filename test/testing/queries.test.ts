import { and, eq, inArray } from 'drizzle-orm'
import { conversations } from '../../src/database/tables'
import { expectQueries, expectSameQueries } from '../../src/testing'
import { database, describe, expect, type Fixtures, test } from '../kit'

const path = '/api/v1/conversations'

const failureOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing failed',
    (error: Error) => error.message,
  )

/** Makes so many conversations; returns the ids of all there are. */
const adding = ({ adminA }: Fixtures) => {
  const ids: string[] = []
  const add = async (rows: number) => {
    for (let row = 0; row < rows; row++) ids.push((await adminA.post(path, { title: 'Q3 planning' })).body.id)
  }
  return { ids, add }
}

const one = (tenant_id: string, id: string) =>
  database
    .select({ title: conversations.title })
    .from(conversations)
    .where(and(eq(conversations.tenant_id, tenant_id), eq(conversations.id, id)))

describe('expectQueries', () => {
  test('returns what the act returned when the number is right', async ({ adminA }) => {
    const response = await expectQueries(2, () => adminA.post(path, { title: 'Q3 planning' }))

    expect(response).toMatchObject({ status: 201, body: { title: 'Q3 planning' } })
  })

  test('prints the statements and their parameters when it is not', async ({ adminA, tenantA }) => {
    const message = await failureOf(expectQueries(1, () => adminA.get(path)))

    expect(message).toStartWith('Expected 1 statements, and there were 2:\n  1. select "users"."id"')
    expect(message).toContain('\n  2. select "id", "tenant_id"')
    expect(message).toContain(`<- ["${tenantA.id}"`)
  })

  test('counts nothing that was there before', async ({ adminA }) => {
    await adminA.post(path, { title: 'Q3 planning' })

    const response = await expectQueries(0, () => adminA.get('/health'))

    expect(response.status).toBe(200)
  })

  test('shows what stands in a transaction', async ({ adminA }) => {
    const message = await failureOf(
      expectQueries(0, () => adminA.patch('/api/v1/admin/tenant/settings', { name: 'Acme Ltd' })),
    )

    expect(message).toContain('\n  3. | update "tenants"')
  })
})

describe('toHaveRun', () => {
  test('counts the statements of a ledger, of a world and of one request', async ({ adminA, ledger }) => {
    await adminA.post(path, { title: 'Q3 planning' })
    await adminA.get(path)

    expect(ledger).toHaveRun(4)
    expect({ ledger }).toHaveRun(4)
    expect(ledger.requests[1]).toHaveRun(2)
  })

  test('says what it counts when it is given something else', async ({ adminA }) => {
    const response = await adminA.get(path)

    const counting = () => expect(response).toHaveRun(3)

    expect(counting).toThrow('toHaveRun() counts the statements of a ledger or of a request in it.')
  })

  test('prints the statements when the number is another', async ({ adminA, ledger }) => {
    await adminA.get(path)

    expect(() => expect(ledger).toHaveRun(4)).toThrow(/Expected 4 statements, and there were 2:\n {2}1\. select/)
    expect(() => expect(ledger).not.toHaveRun(2)).toThrow('Expected 2 statements')
  })
})

describe('expectSameQueries', () => {
  test('refuses an act that asks the database nothing', async ({ adminA }) => {
    const message = await failureOf(
      expectSameQueries(
        async () => {},
        () => adminA.get('/health'),
      ),
    )

    expect(message).toBe('With 1 row and with 10 no statement ran, so nothing is known of more rows.')
  })

  test('passes a list that is read at once', async (all) => {
    const { add } = adding(all)

    await expectSameQueries(add, () => all.adminA.get(`${path}?limit=100`))

    expect(all.ledger.requests.map(({ method }) => method).filter((method) => method === 'POST')).toHaveLength(10)
  })

  test('names the statement that is asked once for each row', async (all) => {
    const { ids, add } = adding(all)
    const act = async () => {
      for (const id of ids) await one(all.tenantA.id, id)
    }

    const message = await failureOf(expectSameQueries(add, act, { rows: 5 }))

    expect(message).toStartWith('With 5 rows instead of 1, 5 statements ran instead of 1. Ask for all rows at once.\n')
    expect(message).toMatch(/\n {2}1 -> 5 times: select "title" from "conversations"/)
  })

  test('takes a longer list of parameters for the same statement', async (all) => {
    const { ids, add } = adding(all)
    const act = () => database.select().from(conversations).where(inArray(conversations.id, ids))

    await expectSameQueries(add, act)

    expect(ids).toHaveLength(10)
  })
})
