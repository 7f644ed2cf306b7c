import type { Principal } from '../auth/principal'
import { appendMessage } from '../conversations/messages'
import { conversationStore } from '../conversations/store'
import type { Deps } from '../deps'
import { parseId } from '../ids'
import type { Annotations, ChatPlugins } from '../plugins/chat'
import { publish } from '../plugins/publish'
import { type Admission, admit } from '../quotas/admission'
import { idempotencyKeys, type Lease } from './idempotency'
import type { Question, Reply } from './schema'
import { chatSettings } from './settings'
import { estimate } from './usage'

/** A question whose message is stored, and what it takes to answer it. */
export type Turn = {
  principal: Principal
  conversation_id: string
  model: string
  /** Where the user's message stands; what stands before it is the history. */
  position: number
  prompts: { system: string | null; message: string }
  plugins: ChatPlugins
  admission: Admission
  /** Of the Idempotency-Key, where the request has one. */
  hold: { key: string; lease: Lease } | undefined
}

type Opening = { plugins: ChatPlugins; annotations: Annotations | undefined; key: string | undefined }

/**
 * Stores the user's message: when this resolves, it is committed. With a key that was answered a moment before, there is
 * nothing to ask and the reply of then is returned. Throws rate_limited and quota_exceeded.
 */
export async function openTurn(
  deps: Deps,
  principal: Principal,
  question: Question,
  { plugins, annotations, key }: Opening,
): Promise<Turn | { replayed: Reply }> {
  const { database, limits } = deps
  const { tenant_id, user_id } = principal
  const keys = key === undefined ? undefined : idempotencyKeys(deps, principal, key)
  const conversations = conversationStore(deps, principal)

  const settings = await chatSettings(deps, tenant_id)
  const admission = await admit(deps, tenant_id, settings, estimate(question.message))
  try {
    const opened = await database.transaction(open)
    if ('replayed' in opened) await admission.settle(0)
    return opened
  } catch (error) {
    await admission.settle(0)
    throw error
  }

  async function open(): Promise<Turn | { replayed: Reply }> {
    const standing = await keys?.claim(question, limits.provider.totalMs)
    if (standing?.state === 'answered') return { replayed: standing.reply }

    const opened =
      standing?.state === 'resumed'
        ? { ...standing, system_prompt: (await conversations.get(standing.conversation_id)).system_prompt }
        : await appendQuestion()
    return {
      principal,
      conversation_id: opened.conversation_id,
      model: question.model ?? settings.default_model ?? deps.defaultModel,
      position: opened.position,
      prompts: { system: opened.system_prompt ?? settings.system_prompt, message: question.message },
      plugins,
      admission,
      hold: key !== undefined && opened.lease ? { key, lease: opened.lease } : undefined,
    }
  }

  async function appendQuestion() {
    const { message } = question
    const conversation_id =
      question.conversation_id === undefined
        ? (await conversations.create({ title: titleOf(message) })).id
        : parseId(question.conversation_id, 'conversation')
    const user = { role: 'user', content: message, status: 'complete', annotations } as const
    const { id: message_id, position, system_prompt } = await appendMessage(deps, principal, conversation_id, user)
    await publish(deps, tenant_id, plugins.enabled, 'message.created', { conversation_id, message_id, user_id })
    const lease = await keys?.begin(question, limits.provider.totalMs, { conversation_id, message_id })
    return { conversation_id, position, system_prompt, lease }
  }
}

/** A conversation made by its first message is called by its first line. */
function titleOf(message: string): string | null {
  const line = message.trim().split('\n', 1)[0]?.trim() ?? ''
  const title = [...line].slice(0, 80).join('')
  return title === '' ? null : title
}
