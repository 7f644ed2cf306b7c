import { eq } from 'drizzle-orm'
import { dialect } from '../../../src/database/dialect'
import { Scope } from '../../../src/database/session'
import { raw } from '../../../src/database/snapshot'
import { conversations, messages, tenants } from '../../../src/database/tables'
import { database, describe, expect, test } from '../../kit'

// The index is kept by the database, so it follows whoever writes: the app, a migration, a person with a prompt.
describe('the search index', () => {
  const add = async (tenant_id: string, user_id: string, title: string | null, content: string) => {
    const at = new Date('2026-03-02T09:00:00.000Z')
    const conversation_id = Bun.randomUUIDv7()
    const stamps = { created_at: at, updated_at: at }
    await database
      .insert(conversations)
      .values({ tenant_id, id: conversation_id, user_id, title, metadata: {}, message_count: 1, ...stamps })
    const message = { conversation_id, position: 1, role: 'user', content, status: 'complete', created_at: at } as const
    await database.insert(messages).values({ ...message, tenant_id, id: Bun.randomUUIDv7() })
    return conversation_id
  }
  const idsIn = ({ body }: { body: { id: string }[] }) => body.map(({ id }) => id)

  test('knows rows that were written past the app', async ({ tenantA, users: { adminA: user }, viewerA }) => {
    const id = await add(tenantA.id, user.id, 'Harvest', 'apples and pears')

    const found = [
      await viewerA.get('/api/v1/conversations?q=harvest'),
      await viewerA.get('/api/v1/conversations?q=pears'),
      await viewerA.get('/api/v1/conversations?q=plums'),
    ]

    expect(found.map(idsIn)).toEqual([[id], [id], []])
  })

  test('follows a title as it changes, goes away and comes back', async ({
    tenantA,
    users: { adminA: user },
    viewerA,
  }) => {
    const id = await add(tenantA.id, user.id, 'Harvest', 'apples')
    const found: string[][] = []

    for (const title of ['Winter', null, 'Spring']) {
      await database.update(conversations).set({ title }).where(eq(conversations.id, id))
      found.push(
        idsIn(await viewerA.get('/api/v1/conversations?q=harvest')),
        idsIn(await viewerA.get('/api/v1/conversations?q=winter')),
        idsIn(await viewerA.get('/api/v1/conversations?q=spring')),
      )
    }

    expect(found).toEqual([[], [id], [], [], [], [], [], [], [id]])
  })

  test('has everything of more than is indexed at once', async ({ tenantA, users: { adminA: user }, viewerA }) => {
    const ids: string[] = []
    for (let n = 0; n < 70; n++) ids.unshift(await add(tenantA.id, user.id, null, `apples number${n}`))

    const found = await viewerA.get('/api/v1/conversations?q=apples&limit=100')
    const single = []
    for (const n of [0, 63, 64, 69]) single.push(idsIn(await viewerA.get(`/api/v1/conversations?q=number${n}`)))

    expect(idsIn(found)).toEqual(ids)
    expect(single).toEqual([[ids[69]], [ids[6]], [ids[5]], [ids[0]]] as string[][])
  })

  const waiting = async () => {
    const [row] = (await Scope.current()?.run(raw('select count(*) from conversation_search_waiting'))) ?? []
    return Number((row as unknown[])[0])
  }

  test.if(dialect === 'sqlite')(
    'keeps at most 63 rows waiting, and none behind a search',
    async ({ tenantA, users: { adminA: user }, viewerA }) => {
      const before = await waiting()
      for (let n = before; n < 63; n++) await add(tenantA.id, user.id, null, 'apples')
      const counts = [await waiting()]

      await add(tenantA.id, user.id, null, 'pears')
      counts.push(await waiting())
      await add(tenantA.id, user.id, 'Harvest', 'plums')
      counts.push(await waiting())
      await viewerA.get('/api/v1/conversations?q=plums')
      counts.push(await waiting())

      expect(counts).toEqual([63, 0, 2, 0])
    },
  )

  test.if(dialect === 'sqlite')(
    'keeps at most 8000 characters waiting, because everybody waits while they are indexed',
    async ({ tenantA, users: { adminA: user }, viewerA }) => {
      await viewerA.get('/api/v1/conversations?q=apples')
      const ids: string[] = []
      const counts: number[] = []

      for (const length of [5000, 3000, 6, 8000, 8001, 32_000]) {
        ids.unshift(await add(tenantA.id, user.id, null, 'apples'.padEnd(length)))
        counts.push(await waiting())
      }

      expect(counts).toEqual([1, 2, 0, 1, 0, 0])
      expect(idsIn(await viewerA.get('/api/v1/conversations?q=apples'))).toEqual(ids)
    },
  )

  test('forgets a message that was deleted and keeps the others', async ({
    tenantA,
    users: { adminA: user },
    viewerA,
  }) => {
    const gone = await add(tenantA.id, user.id, null, 'apples')
    const stays = await add(tenantA.id, user.id, null, 'apples')

    await database.delete(messages).where(eq(messages.conversation_id, gone))

    expect(idsIn(await viewerA.get('/api/v1/conversations?q=apples'))).toEqual([stays])
  })

  test("keeps the other tenant's rows when a tenant is deleted", async ({
    tenantA,
    tenantB,
    users: { adminA, adminB: userB },
    adminB,
  }) => {
    await add(tenantA.id, adminA.id, 'Harvest', 'apples')
    const id = await add(tenantB.id, userB.id, 'Harvest', 'apples')

    await database.delete(tenants).where(eq(tenants.id, tenantA.id))

    expect(idsIn(await adminB.get('/api/v1/conversations?q=harvest'))).toEqual([id])
  })
})
