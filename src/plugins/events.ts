import { type Static, Type } from '@sinclair/typebox'
import { oneOf } from '../schema'

/** What happens in a tenant that plugins may hear of. Events carry ids and numbers; who needs the words asks the API for them. */
export type EventData = {
  'message.created': { conversation_id: string; message_id: string; user_id: string }
  'reply.completed': {
    conversation_id: string
    message_id: string
    user_id: string
    model: string
    prompt_tokens: number
    completion_tokens: number
    latency_ms: number
  }
  'reply.failed': { conversation_id: string; message_id: string; user_id: string; model: string; code: string }
  'user.created': { user_id: string; role: string }
  'plugin.enabled': { plugin: string; user_id: string }
  /** Of a whole UTC day. */
  'daily_summary.ready': {
    day: string
    total_requests: number
    error_count: number
    total_tokens: number
    total_messages: number
    unique_users: number
  }
}

export type EventType = keyof EventData

export const eventTypes = [
  'message.created',
  'reply.completed',
  'reply.failed',
  'user.created',
  'plugin.enabled',
  'daily_summary.ready',
] as const satisfies readonly EventType[]

/** For the configs of plugins that let the tenant choose. */
export const EventTypes = Type.Array(oneOf(...eventTypes), {
  minItems: 1,
  maxItems: eventTypes.length,
  uniqueItems: true,
})
export type EventTypes = Static<typeof EventTypes>

export type PluginEvent = {
  [Type in EventType]: { readonly type: Type; readonly occurred_at: string; readonly data: EventData[Type] }
}[EventType]
