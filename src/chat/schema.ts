import { Kind, type Static, Type, TypeRegistry } from '@sinclair/typebox'
import { Id, shape } from '../schema'

export const Question = shape({
  message: Type.String({ minLength: 1, maxLength: 32_000 }),
  conversation_id: Type.Optional(Type.String({ description: 'Without one, a conversation is made' })),
  model: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: "Else the tenant's default, else the server's" }),
  ),
  stream: Type.Optional(
    Type.Boolean({ description: 'Answer as text/event-stream: token events, then one done or one error' }),
  ),
})
export type Question = Static<typeof Question>

export const Reply = shape({
  response: Type.String(),
  conversation_id: Id,
  message_id: Id,
  model: Type.String(),
  usage: shape({ prompt_tokens: Type.Integer(), completion_tokens: Type.Integer(), total_tokens: Type.Integer() }),
  latency_ms: Type.Integer({ description: 'From asking the model to its last word' }),
})
export type Reply = Static<typeof Reply>

/** The other form of the same answer. */
export const EventStream = Type.Unsafe<Response>({
  [Kind]: 'EventStream',
  type: 'string',
  contentMediaType: 'text/event-stream',
  description: '`token` for each piece, then exactly one `done`, whose data is the whole reply, or `error`',
})
TypeRegistry.Set('EventStream', (_schema, value) => value instanceof Response)
