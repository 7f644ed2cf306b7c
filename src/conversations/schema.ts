import { type Static, Type } from '@sinclair/typebox'
import { Id, Metadata, nullable, oneOf, Page, shape, WrittenTimestamp } from '../schema'

const Title = Type.String({ minLength: 1, maxLength: 200 })
const SystemPrompt = Type.String({ maxLength: 32_000 })

export const NewConversation = shape({
  title: Type.Optional(nullable(Title)),
  system_prompt: Type.Optional(nullable(SystemPrompt)),
  metadata: Type.Optional(Metadata),
})
export type NewConversation = Static<typeof NewConversation>

export const ConversationChange = shape({
  title: Type.Optional(nullable(Title)),
  system_prompt: Type.Optional(nullable(SystemPrompt)),
  metadata: Type.Optional(Metadata),
  is_archived: Type.Optional(Type.Boolean()),
})
export type ConversationChange = Static<typeof ConversationChange>

export const Conversation = shape({
  id: Id,
  tenant_id: Id,
  user_id: Id,
  title: nullable(Type.String()),
  system_prompt: nullable(Type.String()),
  metadata: Metadata,
  is_archived: Type.Boolean(),
  message_count: Type.Integer(),
  created_at: WrittenTimestamp,
  updated_at: WrittenTimestamp,
})
export type Conversation = Static<typeof Conversation>

/** More words than anybody types, and no more than a search should take. */
export const mostWords = 16

export const ConversationQuery = shape({
  ...Page,
  include_archived: Type.Optional(oneOf('true', 'false')),
  q: Type.Optional(
    Type.String({
      maxLength: 200,
      description: `Words that the title or one message has, at most ${mostWords} different ones; the last may be a beginning`,
    }),
  ),
})
export type ConversationQuery = Static<typeof ConversationQuery>

export const Message = shape({
  id: Id,
  role: oneOf('user', 'assistant', 'system', 'tool'),
  content: Type.String(),
  status: oneOf('complete', 'interrupted', 'failed'),
  model: nullable(Type.String()),
  prompt_tokens: nullable(Type.Integer()),
  completion_tokens: nullable(Type.Integer()),
  created_at: WrittenTimestamp,
  tool_call: Type.Optional(
    shape(
      { name: Type.String(), arguments: Type.Record(Type.String(), Type.Unknown()) },
      { description: 'Of a tool message: what the model asked for; its content is the result' },
    ),
  ),
  annotations: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), { description: 'What plugins had to say of it, by plugin' }),
  ),
})
export type Message = Static<typeof Message>

export const MessageQuery = shape(Page)
export type MessageQuery = Static<typeof MessageQuery>
