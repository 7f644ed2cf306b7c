import { eq, sql } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import { appendMessage, historyBefore } from '../conversations/messages'
import { conversationStore } from '../conversations/store'
import { type Database, oncePerDatabase } from '../database/database'
import { tenant_settings, usage_records } from '../database/tables'
import type { Deps } from '../deps'
import { AppError, conflict } from '../errors'
import { newId, parseId } from '../ids'
import { ask } from '../providers/ask'
import type { Prompt, ReportedUsage } from '../providers/provider'
import { idempotencyKeys, type Lease } from './idempotency'
import type { Question, Reply } from './schema'
import { type Usage, usageOf } from './usage'

/** A question whose message is stored, and what it takes to answer it. */
export type Turn = {
  principal: Principal
  conversation_id: string
  model: string
  /** Where the user's message stands; what stands before it is the history. */
  position: number
  prompts: { system: string | null; message: string }
  /** Of the Idempotency-Key, where the request has one. */
  hold: { key: string; lease: Lease } | undefined
}

const given = sql.placeholder

const queries = oncePerDatabase((database) => ({
  settings: database
    .select({ default_model: tenant_settings.default_model, system_prompt: tenant_settings.system_prompt })
    .from(tenant_settings)
    .where(eq(tenant_settings.tenant_id, given('tenant_id')))
    .prepare('chat_settings'),
  recordUsage: database
    .insert(usage_records)
    .values({
      tenant_id: given('tenant_id'),
      id: given('id'),
      user_id: given('user_id'),
      conversation_id: given('conversation_id'),
      message_id: given('message_id'),
      model: given('model'),
      prompt_tokens: given('prompt_tokens'),
      completion_tokens: given('completion_tokens'),
      is_estimated: given('is_estimated'),
      created_at: given('now'),
    })
    .returning({ id: usage_records.id })
    .prepare('usage_record'),
}))

/**
 * Stores the user's message: when this resolves, it is committed. With a key that was answered before, there is nothing
 * to ask and the reply of then is returned.
 */
export async function openTurn(
  deps: Deps,
  principal: Principal,
  question: Question,
  key: string | undefined,
): Promise<Turn | { replayed: Reply }> {
  const { database, limits } = deps
  const keys = key === undefined ? undefined : idempotencyKeys(deps, principal, key)
  const conversations = conversationStore(deps, principal)

  return await database.transaction(async () => {
    const standing = await keys?.claim(question, limits.provider.totalMs)
    if (standing?.state === 'answered') return { replayed: standing.reply }

    const [settings] = await queries(database).settings.execute({ tenant_id: principal.tenant_id })
    const opened =
      standing?.state === 'resumed'
        ? { ...standing, system_prompt: (await conversations.get(standing.conversation_id)).system_prompt }
        : await appendQuestion()
    return {
      principal,
      conversation_id: opened.conversation_id,
      model: question.model ?? settings?.default_model ?? deps.defaultModel,
      position: opened.position,
      prompts: { system: opened.system_prompt ?? settings?.system_prompt ?? null, message: question.message },
      hold: key !== undefined && opened.lease ? { key, lease: opened.lease } : undefined,
    }
  })

  async function appendQuestion() {
    const { message } = question
    const conversation_id =
      question.conversation_id === undefined
        ? (await conversations.create({ title: titleOf(message) })).id
        : parseId(question.conversation_id, 'conversation')
    const user = { role: 'user', content: message, status: 'complete' } as const
    const { id: message_id, position, system_prompt } = await appendMessage(deps, principal, conversation_id, user)
    const lease = await keys?.begin(question, limits.provider.totalMs, { conversation_id, message_id })
    return { conversation_id, position, system_prompt, lease }
  }
}

/**
 * Asks the model and stores what came of it: the assistant's message, whole or not, and its usage in one transaction.
 * No transaction is held while the model works. Throws what a caller should know, after it was stored.
 */
export async function replyTo(
  deps: Deps,
  turn: Turn,
  { stream, signal, onText = () => {} }: { stream: boolean; signal: AbortSignal; onText?: (text: string) => void },
): Promise<Reply> {
  const { database, provider, limits } = deps
  const { system, message } = turn.prompts
  const history = await historyBefore(database, turn.principal, turn.conversation_id, turn.position)
  const messages: Prompt[] = [
    ...(system ? [{ role: 'system', content: system } as const] : []),
    ...history,
    { role: 'user', content: message },
  ]

  const startedAt = performance.now()
  let text = ''
  let model = turn.model
  let reported: ReportedUsage | undefined
  let failure: unknown
  const pieces = wellFormed()
  const tell = (piece: string) => {
    text += piece
    if (piece !== '') onText(piece)
  }
  try {
    for await (const chunk of ask(provider, { model, messages }, { stream, signal, limits: limits.provider })) {
      if (chunk.type === 'text') tell(pieces.next(chunk.text))
      else {
        if (chunk.model !== undefined) model = storable(chunk.model)
        if (chunk.type === 'usage') reported = chunk.usage
      }
    }
    tell(pieces.rest())
  } catch (error) {
    failure = error ?? new Error('The reply was stopped without a reason.')
  }
  const latency_ms = Math.round(performance.now() - startedAt)
  const usage = usageOf(reported, messages, text)

  if (failure !== undefined) {
    const status = signal.aborted ? 'interrupted' : 'failed'
    await finish(deps, turn, { text, model, status, usage: text === '' && !reported ? undefined : usage }, undefined)
    throw signal.aborted ? signal.reason : failure
  }
  return await finish(deps, turn, { text, model, status: 'complete', usage }, latency_ms)
}

type Outcome = { text: string; model: string; status: 'complete' | 'interrupted' | 'failed'; usage: Usage | undefined }

async function finish(
  deps: Deps,
  turn: Turn,
  { text, model, status, usage }: Outcome,
  latency_ms: number | undefined,
): Promise<Reply> {
  const { database, clock } = deps
  const { principal, conversation_id, hold } = turn
  const keys = hold && { ...idempotencyKeys(deps, principal, hold.key), lease: hold.lease }
  const { prompt_tokens = 0, completion_tokens = 0 } = usage ?? {}

  // What the model said was paid for even if there is no place for it any longer, so the usage does not depend on it.
  const stored = await database.transaction(async () => {
    const appended = (await keys?.isLost(keys.lease))
      ? conflict('This took too long: another request with the same Idempotency-Key has taken over.')
      : await appendMessage(deps, principal, conversation_id, {
          role: 'assistant',
          content: text,
          status,
          model,
          ...(usage && { prompt_tokens, completion_tokens }),
        }).catch((error) => {
          if (error instanceof AppError && error.code === 'not_found') return error
          throw error
        })
    const message_id = appended instanceof AppError ? newId(clock) : appended.id
    if (usage) await recordUsage(database, deps, turn, { ...usage, model, message_id })
    if (appended instanceof AppError) return appended

    const reply: Reply = {
      response: text,
      conversation_id,
      message_id,
      model,
      usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
      latency_ms: latency_ms ?? 0,
    }
    if (status === 'complete') await keys?.answer(reply)
    else await keys?.release()
    return reply
  })
  if (stored instanceof AppError) throw stored
  return stored
}

async function recordUsage(
  database: Database,
  { clock }: Deps,
  { principal: { tenant_id, user_id }, conversation_id }: Turn,
  usage: Usage & { model: string; message_id: string },
): Promise<void> {
  await queries(database).recordUsage.execute({
    ...usage,
    tenant_id,
    user_id,
    conversation_id,
    id: newId(clock),
    now: clock.now(),
  })
}

/** Postgres stores neither NUL nor half a surrogate pair. */
const storable = (text: string) => text.replaceAll('\0', '\ufffd').toWellFormed()

/** Makes pieces storable, where a cut may go through the middle of a pair: its first half waits for the second. */
function wellFormed() {
  let half = ''
  return {
    next(piece: string): string {
      const text = half + piece
      half = /[\ud800-\udbff]$/.exec(text)?.[0] ?? ''
      return storable(text.slice(0, text.length - half.length))
    },
    rest: () => storable(half),
  }
}

/** A conversation made by its first message is called by its first line. */
function titleOf(message: string): string | null {
  const line = message.trim().split('\n', 1)[0]?.trim() ?? ''
  const title = [...line].slice(0, 80).join('')
  return title === '' ? null : title
}
