import type { PluginEvent } from './events'

/** An event in one line for people, with the ids to look it up by. */
export function sentence(event: PluginEvent): string {
  return said(event).replace(unprintable, ' ')
}

function said({ type, data }: PluginEvent): string {
  switch (type) {
    case 'message.created':
      return `User ${data.user_id} wrote message ${data.message_id} in conversation ${data.conversation_id}.`
    case 'reply.completed':
      return `The model ${data.model} replied with message ${data.message_id} to user ${data.user_id} in conversation ${data.conversation_id}: ${data.prompt_tokens} + ${data.completion_tokens} tokens, ${data.latency_ms} ms.`
    case 'reply.failed':
      return `The model ${data.model} did not reply to user ${data.user_id} in conversation ${data.conversation_id} (message ${data.message_id}): ${data.code}.`
    case 'user.created':
      return `User ${data.user_id} was created with the role ${data.role}.`
    case 'plugin.enabled':
      return `User ${data.user_id} enabled the plugin ${data.plugin}.`
    case 'daily_summary.ready':
      return `On ${data.day}: ${data.total_requests} requests (${data.error_count} failed), ${data.total_messages} messages, ${data.total_tokens} tokens, ${data.unique_users} users.`
  }
}

/** Users name models, so a name may hold what ends a line, moves a cursor or turns the writing around. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g
