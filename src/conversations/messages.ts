import { and, desc, eq, lt, sql } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import { type Database, oncePerDatabase } from '../database/database'
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
  insert: database
    .insert(messages)
    .values({
      tenant_id: given('tenant_id'),
      conversation_id: given('conversation_id'),
      position: given('position'),
      id: given('id'),
      role: given('role'),
      content: given('content'),
      status: given('status'),
      model: given('model'),
      prompt_tokens: given('prompt_tokens'),
      completion_tokens: given('completion_tokens'),
      created_at: given('now'),
    })
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
  const now = clock.now()
  const [counted] = await queries(database).count.execute({ tenant_id, conversation_id, now })
  if (!counted) throw notFound('conversation')
  const { position, system_prompt } = counted
  const row = {
    ...message,
    tenant_id,
    conversation_id,
    position,
    id,
    model: model ?? null,
    prompt_tokens: prompt_tokens ?? null,
    completion_tokens: completion_tokens ?? null,
  }
  if (!tool_call && !annotations) await queries(database).insert.execute({ ...row, now })
  else await database.insert(messages).values({ ...row, tool_call, annotations, created_at: now })
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
