import { eq } from 'drizzle-orm'
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
