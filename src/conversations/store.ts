import { and, asc, count, desc, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import { written } from '../database/columns'
import { type Database, oncePerDatabase } from '../database/database'
import { conversations, messages } from '../database/tables'
import { invalid, notFound } from '../errors'
import { type Clock, newId, parseId } from '../ids'
import { decodeCursor, defaultLimit, idCursor, type Page, paged } from '../page'
import { longestMetadata } from '../schema'
import type {
  Conversation,
  ConversationChange,
  ConversationQuery,
  Message,
  MessageQuery,
  NewConversation,
} from './schema'
import { matching } from './search'

const visible = {
  id: conversations.id,
  tenant_id: conversations.tenant_id,
  user_id: conversations.user_id,
  title: conversations.title,
  system_prompt: conversations.system_prompt,
  metadata: conversations.metadata,
  is_archived: conversations.is_archived,
  message_count: conversations.message_count,
  created_at: written(conversations.created_at),
  updated_at: written(conversations.updated_at),
}

const visibleMessage = {
  id: messages.id,
  role: messages.role,
  content: messages.content,
  status: messages.status,
  model: messages.model,
  prompt_tokens: messages.prompt_tokens,
  completion_tokens: messages.completion_tokens,
  tool_call: messages.tool_call,
  annotations: messages.annotations,
  created_at: written(messages.created_at),
}

const given = sql.placeholder
const tenantIs = eq(conversations.tenant_id, given('tenant_id'))
const idIs = eq(conversations.id, given('id'))

/** What every reply and every list asks is prepared once: building SQL costs more than running it. */
const queries = oncePerDatabase((database) => {
  const counted = (condition: SQL | undefined) =>
    database.select({ total: count() }).from(conversations).where(and(tenantIs, condition))
  const newest = (condition: SQL | undefined) =>
    database
      .select({ ...visible, total: sql<number>`${counted(condition)}`.mapWith(Number) })
      .from(conversations)
      .where(and(tenantIs, condition, lt(conversations.id, given('before'))))
      .orderBy(desc(conversations.id))
      .limit(given('limit'))
      .offset(given('offset'))
  const notArchived = eq(conversations.is_archived, false)
  return {
    one: database.select(visible).from(conversations).where(and(tenantIs, idIs)).prepare('conversation_one'),
    newest: newest(notArchived).prepare('conversations_newest'),
    newestOfAll: newest(undefined).prepare('conversations_newest_of_all'),
    count: counted(notArchived).prepare('conversations_count'),
    countOfAll: counted(undefined).prepare('conversations_count_of_all'),
    insert: database
      .insert(conversations)
      .values({
        tenant_id: given('tenant_id'),
        id: given('id'),
        user_id: given('user_id'),
        title: given('title'),
        system_prompt: given('system_prompt'),
        metadata: given('metadata'),
        created_at: given('now'),
        updated_at: given('now'),
      })
      .returning(visible)
      .prepare('conversation_insert'),
    messages: database
      .select({ ...visibleMessage, position: messages.position })
      .from(messages)
      .where(
        and(
          eq(messages.tenant_id, given('tenant_id')),
          eq(messages.conversation_id, given('id')),
          gt(messages.position, given('after')),
        ),
      )
      .orderBy(asc(messages.position))
      .limit(given('limit'))
      .prepare('messages_page'),
  }
})

/** After every id there is. */
const endOfIds = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
const messageCursor = /^\d{1,9}$/

function requireShort(metadata: Record<string, unknown>): void {
  if (JSON.stringify(metadata).length > longestMetadata)
    throw invalid([
      { in: 'body', path: '/metadata', message: `must have at most ${longestMetadata} characters as JSON` },
    ])
}

/** The conversations of the principal's tenant. No query here can see another's: `tenant_id` is bound once, below. */
export function conversationStore({ database, clock }: { database: Database; clock: Clock }, principal: Principal) {
  const { tenant_id, user_id } = principal
  const prepared = queries(database)
  const mine = (id: string) =>
    and(eq(conversations.tenant_id, tenant_id), eq(conversations.id, parseId(id, 'conversation')))

  const get = async (id: string): Promise<Conversation> => {
    const [found] = await prepared.one.execute({ tenant_id, id: parseId(id, 'conversation') })
    if (!found) throw notFound('conversation')
    return found
  }

  return {
    get,

    async list(query: ConversationQuery): Promise<Page<Conversation>> {
      const { limit = defaultLimit, offset = 0, cursor } = query
      const all = query.include_archived === 'true'
      const before = cursor === undefined ? endOfIds : decodeCursor(cursor, idCursor)
      const page = { tenant_id, before, limit: limit + 1, offset }
      const { rows, total } =
        query.q === undefined ? await newest(page, { all }) : await search(query.q, { ...page, all })
      return paged(rows, query, total, ({ id }) => id)
    },

    async create({ title = null, system_prompt = null, metadata = {} }: NewConversation): Promise<Conversation> {
      requireShort(metadata)
      const [created] = await prepared.insert.execute({
        tenant_id,
        user_id,
        id: newId(clock),
        title,
        system_prompt,
        metadata,
        now: clock.now(),
      })
      if (!created) throw new Error('The insert of a conversation returned no row.')
      return created
    },

    async update(id: string, change: ConversationChange): Promise<Conversation> {
      if (change.metadata) requireShort(change.metadata)
      const [updated] = await database
        .update(conversations)
        .set({ ...change, updated_at: clock.now() })
        .where(mine(id))
        .returning(visible)
      if (!updated) throw notFound('conversation')
      return updated
    },

    async remove(id: string): Promise<void> {
      const removed = await database.delete(conversations).where(mine(id)).returning({ id: conversations.id })
      if (removed.length === 0) throw notFound('conversation')
    },

    /** Oldest first. Positions have no gaps, so an offset is a position and costs nothing. */
    async messages(id: string, query: MessageQuery): Promise<Page<Message>> {
      const conversation = await get(id)
      const { limit = defaultLimit, offset = 0, cursor } = query
      const after = offset + (cursor === undefined ? 0 : Number(decodeCursor(cursor, messageCursor)))
      const rows = await prepared.messages.execute({ tenant_id, id: conversation.id, after, limit: limit + 1 })
      const { next, ...page } = paged(rows, query, conversation.message_count, ({ position }) => String(position))
      return {
        ...page,
        next,
        rows: page.rows.map(({ position: _, tool_call, annotations, ...message }) => ({
          ...message,
          ...(tool_call && { tool_call }),
          ...(annotations && { annotations }),
        })),
      }
    },
  }

  /** Each row has the total with it, so a list is one statement; where there is no row on the page, it is asked for. */
  async function newest(page: { offset: number; before: string }, { all }: { all: boolean }) {
    const found = await (all ? prepared.newestOfAll : prepared.newest).execute(page)
    const rows = found.map(({ total: _, ...row }): Conversation => row)
    const isFirst = page.offset === 0 && page.before === endOfIds
    if (found[0] || isFirst) return { rows, total: found[0]?.total ?? 0 }
    const [counted] = await (all ? prepared.countOfAll : prepared.count).execute({ tenant_id })
    return { rows, total: counted?.total ?? 0 }
  }

  async function search(
    q: string,
    { before, limit, offset, all }: { before: string; limit: number; offset: number; all: boolean },
  ) {
    const match = await matching(database, principal, q)
    if (!match) return { rows: [], total: 0 }
    const condition = and(
      eq(conversations.tenant_id, tenant_id),
      all ? undefined : eq(conversations.is_archived, false),
      match,
    )
    const [rows, [counted]] = await Promise.all([
      database
        .select(visible)
        .from(conversations)
        .where(and(condition, lt(conversations.id, before)))
        .orderBy(desc(conversations.id))
        .limit(limit)
        .offset(offset),
      database.select({ total: count() }).from(conversations).where(condition),
    ])
    return { rows, total: counted?.total ?? 0 }
  }
}
