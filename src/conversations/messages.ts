import { and, desc, eq, lt, sql } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import { type Database, oncePerDatabase } from '../database/database'
import { givenFor } from '../database/given'
import { conversations, messages } from '../database/tables'
import { notFound } from '../errors'
import { type Clock, newId } from '../ids'
import type { Prompt } from '../providers/provider'

export type NewMessage = {
  /** Made here where it is not given. */
  id?: string
  role: 'user' | 'assistant' | 'tool'
  content: string
  status: 'complete' | 'interrupted' | 'failed'
  model?: string
  prompt_tokens?: number
  completion_tokens?: number
  tool_call?: { name: string; arguments: Record<string, unknown> }
  annotations?: Record<string, unknown> | undefined
}

/** How much of a conversation goes along with a new message: the newest, until one of these is used up. */
export const historyBudget = { messages: 100, characters: 64_000 }

const given = sql.placeholder

const column = givenFor(messages)
/** As text, because Drizzle would write no value as the JSON null. */
const textOf = <Name extends 'tool_call' | 'annotations'>(name: Name) =>
  sql<(typeof messages.$inferSelect)[Name]>`${given(name)}`.as(name)

const queries = oncePerDatabase((database) => ({
  count: database
    .update(conversations)
    .set({
      message_count: sql`${conversations.message_count} + 1`,
      updated_at: sql`${sql.param(given('now'), conversations.updated_at)}`,
    })
    .where(and(eq(conversations.tenant_id, given('tenant_id')), eq(conversations.id, given('conversation_id'))))
    .returning({ position: conversations.message_count, system_prompt: conversations.system_prompt })
    .prepare('message_count'),
  // Its place is what was counted just before it, so that nobody has to wait for that to send it.
  insert: database
    .insert(messages)
    .select(
      database
        .select({
          tenant_id: conversations.tenant_id,
          conversation_id: conversations.id,
          position: conversations.message_count,
          id: column('id'),
          role: column('role'),
          content: column('content'),
          status: column('status'),
          model: column('model'),
          prompt_tokens: column('prompt_tokens'),
          completion_tokens: column('completion_tokens'),
          tool_call: textOf('tool_call'),
          annotations: textOf('annotations'),
          created_at: column('created_at'),
        })
        .from(conversations)
        .where(and(eq(conversations.tenant_id, given('tenant_id')), eq(conversations.id, given('conversation_id')))),
    )
    .returning({ id: messages.id })
    .prepare('message_insert'),
  before: database
    .select({ role: messages.role, content: messages.content })
    .from(messages)
    .where(
      and(
        eq(messages.tenant_id, given('tenant_id')),
        eq(messages.conversation_id, given('conversation_id')),
        lt(messages.position, given('position')),
        eq(messages.status, 'complete'),
      ),
    )
    .orderBy(desc(messages.position))
    .limit(historyBudget.messages)
    .prepare('messages_before'),
}))

/** Appends in the order of calls; belongs in a transaction. The conversation's system prompt comes along. Throws not_found when the conversation is gone. */
export async function appendMessage(
  { database, clock }: { database: Database; clock: Clock },
  { tenant_id }: Principal,
  conversation_id: string,
  { id = newId(clock), model, prompt_tokens, completion_tokens, tool_call, annotations, ...message }: NewMessage,
): Promise<{ id: string; position: number; system_prompt: string | null }> {
  const created_at = clock.now()
  const { count, insert } = queries(database)
  const [[counted]] = await Promise.all([
    count.execute({ tenant_id, conversation_id, now: created_at }),
    insert.execute({
      ...message,
      tenant_id,
      conversation_id,
      id,
      model: model ?? null,
      prompt_tokens: prompt_tokens ?? null,
      completion_tokens: completion_tokens ?? null,
      tool_call: tool_call ? JSON.stringify(tool_call) : null,
      annotations: annotations ? JSON.stringify(annotations) : null,
      created_at,
    }),
  ])
  if (!counted) throw notFound('conversation')
  const { position, system_prompt } = counted
  return { id, position, system_prompt }
}

/** What was said before a position, oldest first, cut to `historyBudget` from the oldest. What failed was never said. */
export async function historyBefore(
  database: Database,
  { tenant_id }: Principal,
  conversation_id: string,
  position: number,
): Promise<Prompt[]> {
  if (position === 1) return []
  const newestFirst = await queries(database).before.execute({ tenant_id, conversation_id, position })
  const kept: Prompt[] = []
  let characters = 0
  for (const { role, content } of newestFirst) {
    characters += content.length
    if (characters > historyBudget.characters) break
    if (role !== 'tool') kept.push({ role, content })
  }
  return kept.reverse()
}
