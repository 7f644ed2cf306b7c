import { storeRecords } from './analytics/rollup'
import type { Database } from './database/database'
import { conversations, messages, tenant_settings, tenants, usage_records, users } from './database/tables'
import { type Clock, newId } from './ids'

const people = [
  { tenant: 'acme', external_id: 'ada', display_name: 'Ada Admin', role: 'admin' },
  { tenant: 'acme', external_id: 'olivia', display_name: 'Olivia Operator', role: 'operator' },
  { tenant: 'acme', external_id: 'vera', display_name: 'Vera Viewer', role: 'viewer' },
  { tenant: 'globex', external_id: 'gus', display_name: 'Gus Admin', role: 'admin' },
] as const

const talks = [
  ['Plan the third quarter', 'What should we look at first?', 'At what customers asked for twice in the second.'],
  ['Onboarding e-mail', 'Write a friendly first line.', 'Welcome! Here is the one thing to try today.'],
  ['Incident of Tuesday', 'Summarise what happened.', 'A certificate expired; it was replaced in nine minutes.'],
] as const

type Usage = { tenant_id: string; user_id: string; completion_tokens: number; created_at: Date }

/** What somebody asks for who chats: lists, reads, a reply that takes as long as it is, and now and then a mistake. */
const requestsAround = ({ tenant_id, user_id, completion_tokens, created_at }: Usage, turn: number) => {
  const request = (secondsBefore: number, method: string, route: string, status: number, duration_us: number) => {
    const at = new Date(created_at.getTime() - secondsBefore * 1000)
    return { tenant_id, user_id, id: newId({ now: () => at }), method, route, status, duration_us, created_at: at }
  }
  const one = '/api/v1/conversations/:id'
  return [
    request(30, 'GET', '/api/v1/conversations', 200, 1_800 + completion_tokens * 7),
    request(20, 'GET', `${one}/messages`, turn % 11 === 10 ? 404 : 200, 1_200 + completion_tokens * 5),
    request(0, 'POST', '/api/v1/chat', turn % 17 === 16 ? 502 : 200, 180_000 + completion_tokens * 9_000),
  ]
}

const dayMs = 24 * 60 * 60 * 1000

/**
 * Two tenants, four users, some conversations and a month of usage; returns what it did in words.
 * Does nothing to a database that has a tenant, and returns undefined.
 */
export async function fillDemo(database: Database, clock: Clock): Promise<string | undefined> {
  return await database.transaction(async () => {
    if ((await database.select({ id: tenants.id }).from(tenants).limit(1)).length > 0) return undefined
    const now = clock.now()
    const stamps = { created_at: now, updated_at: now }

    const tenantIds = { acme: newId(clock), globex: newId(clock) }
    await database.insert(tenants).values([
      { id: tenantIds.acme, slug: 'acme', name: 'Acme', ...stamps },
      { id: tenantIds.globex, slug: 'globex', name: 'Globex', ...stamps },
    ])
    await database
      .insert(tenant_settings)
      .values(Object.values(tenantIds).map((tenant_id) => ({ tenant_id, updated_at: now })))

    const members = people.map(({ tenant, ...person }) => ({
      ...person,
      ...stamps,
      tenant_id: tenantIds[tenant],
      id: newId(clock),
      email: `${person.external_id}@${tenant}.example`,
    }))
    await database.insert(users).values(members)

    let replies = 0
    for (const { tenant_id, id: user_id } of members.filter(({ role }) => role !== 'viewer')) {
      for (const [title, question, answer] of talks) {
        const conversation_id = newId(clock)
        await database
          .insert(conversations)
          .values({ tenant_id, id: conversation_id, user_id, title, metadata: {}, message_count: 2, ...stamps })
        const common = { tenant_id, conversation_id, status: 'complete', created_at: now } as const
        await database.insert(messages).values([
          { ...common, position: 1, id: newId(clock), role: 'user', content: question },
          {
            ...common,
            position: 2,
            id: newId(clock),
            role: 'assistant',
            content: answer,
            model: 'echo',
            prompt_tokens: 9,
            completion_tokens: 12,
          },
        ])
      }
      // A month with busy weeks and quiet weekends, the same every time.
      const usage = Array.from({ length: 30 }, (_, day) => ({
        day,
        weekday: new Date(now.getTime() - day * dayMs).getUTCDay(),
      })).flatMap(({ day, weekday }) =>
        Array.from({ length: weekday === 0 || weekday === 6 ? 1 : 3 + ((day * 7) % 4) }, (_, turn) => {
          const created_at = new Date(now.getTime() - day * dayMs - turn * 60_000)
          return {
            tenant_id,
            id: newId({ now: () => created_at }),
            user_id,
            conversation_id: newId(clock),
            message_id: newId(clock),
            model: turn % 3 === 0 ? 'echo-large' : 'echo',
            prompt_tokens: 40 + ((day * 31 + turn * 17) % 160),
            completion_tokens: 60 + ((day * 13 + turn * 29) % 240),
            is_estimated: true,
            created_at,
          }
        }),
      )
      await database.insert(usage_records).values(usage)
      await storeRecords(database, tenant_id, usage.flatMap(requestsAround))
      replies += usage.length
    }
    return `Two tenants (acme, globex), ${members.length} users (${members.map(({ external_id }) => external_id).join(', ')}), ${3 * talks.length} conversations and ${replies} replies of usage over 30 days.`
  })
}
