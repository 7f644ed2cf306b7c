import { and, eq, sql } from 'drizzle-orm'
import { appendMessage, historyBefore } from '../conversations/messages'
import { oncePerDatabase } from '../database/database'
import { givenFor } from '../database/given'
import { usage_records, users } from '../database/tables'
import type { Deps } from '../deps'
import { AppError, conflict } from '../errors'
import { newId } from '../ids'
import type { Annotations } from '../plugins/chat'
import { publish } from '../plugins/publish'
import { toAppError } from '../problem'
import type { Prompt } from '../providers/provider'
import { type Answer, answer } from './answer'
import { idempotencyKeys } from './idempotency'
import type { Reply } from './schema'
import type { Turn } from './turn'
import type { Usage } from './usage'

const given = sql.placeholder
const column = givenFor(usage_records)

const queries = oncePerDatabase((database) => ({
  // Nothing where the user is gone, as after the erasure of the tenant: then there is nobody whose usage it would be.
  recordUsage: database
    .insert(usage_records)
    .select(
      database
        .select({
          tenant_id: users.tenant_id,
          id: column('id'),
          user_id: users.id,
          conversation_id: column('conversation_id'),
          message_id: column('message_id'),
          model: column('model'),
          prompt_tokens: column('prompt_tokens'),
          completion_tokens: column('completion_tokens'),
          is_estimated: column('is_estimated'),
          created_at: column('created_at'),
        })
        .from(users)
        .where(and(eq(users.tenant_id, given('tenant_id')), eq(users.id, given('user_id')))),
    )
    .returning({ id: usage_records.id })
    .prepare('usage_record'),
}))

/**
 * Asks the model and stores what came of it: the assistant's message, whole or not, and its usage in one transaction.
 * No transaction is held while the model works. Throws what a caller should know, after it was stored.
 */
export async function replyTo(
  deps: Deps,
  turn: Turn,
  { stream, signal, onText = () => {} }: { stream: boolean; signal: AbortSignal; onText?: (text: string) => void },
): Promise<Reply> {
  const { plugins, prompts } = turn
  const history = await historyBefore(deps.database, turn.principal, turn.conversation_id, turn.position)
  const messages: Prompt[] = [
    ...(prompts.system ? [{ role: 'system', content: prompts.system } as const] : []),
    ...history,
    { role: 'user', content: prompts.message },
  ]

  const startedAt = performance.now()
  const answered = await answer(deps, turn, messages, {
    stream,
    signal,
    onText: plugins.holdsReply ? () => {} : onText,
  })
  const outcome: Outcome = {
    ...answered,
    annotations: undefined,
    latency_ms: Math.round(performance.now() - startedAt),
  }
  if (outcome.failure === undefined) {
    await plugins.review(outcome.text).then(
      (reviewed) => Object.assign(outcome, reviewed),
      // What nobody was allowed to look over is not kept either.
      (failure: unknown) => Object.assign(outcome, { failure, ...(plugins.holdsReply && { text: '' }) }),
    )
  } else if (plugins.holdsReply) outcome.text = ''
  if (outcome.failure === undefined && plugins.holdsReply) onText(outcome.text)

  const reply = await finish(deps, turn, outcome, signal)
  if (outcome.failure !== undefined) throw signal.aborted ? signal.reason : outcome.failure
  return reply
}

type Outcome = Answer & { annotations: Annotations | undefined; latency_ms: number }

async function finish(deps: Deps, turn: Turn, outcome: Outcome, signal: AbortSignal): Promise<Reply> {
  const { database } = deps
  const { principal, conversation_id, admission, hold } = turn
  const { text, model, usage, failure, annotations, latency_ms } = outcome
  const status = failure === undefined ? 'complete' : signal.aborted ? 'interrupted' : 'failed'
  const keys = hold && { ...idempotencyKeys(deps, principal, hold.key), lease: hold.lease }
  const { prompt_tokens = 0, completion_tokens = 0 } = usage ?? {}
  const runs = outcome.runs.map((run) => ({ ...run, id: newId(deps.clock) }))
  const message_id = newId(deps.clock)
  const takenOver = conflict('This took too long: another request with the same Idempotency-Key has taken over.')

  const stored = await database.transaction(async () => {
    const isLost = await keys?.isLost(keys.lease)
    // What the model said was paid for even if there is no place for it any longer, so the usage does not depend on it.
    const [refused] = await Promise.all([
      isLost ? takenOver : append(),
      usage && recordUsage(deps, turn, { ...usage, model, message_id }),
    ])
    if (refused) return refused
    await tell()

    const reply: Reply = {
      response: text,
      conversation_id,
      message_id,
      model,
      usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
      latency_ms,
    }
    if (status === 'complete') await keys?.answer(reply)
    else await keys?.release()
    return reply
  })
  // Not where the transaction failed: then nobody knows whether there is a usage record, until it is looked for.
  await admission.settle(prompt_tokens + completion_tokens)
  if (stored instanceof AppError) throw stored
  return stored

  /** Resolves to the reason where there is no place for it. */
  async function append(): Promise<AppError | undefined> {
    try {
      for (const { id, result, ...tool_call } of runs) {
        const tool = { id, role: 'tool', content: result, status: 'complete', tool_call } as const
        await appendMessage(deps, principal, conversation_id, tool)
      }
      await appendMessage(deps, principal, conversation_id, {
        id: message_id,
        role: 'assistant',
        content: text,
        status,
        model,
        annotations,
        ...(usage && { prompt_tokens, completion_tokens }),
      })
    } catch (error) {
      if (error instanceof AppError && error.code === 'not_found') return error
      throw error
    }
  }

  async function tell(): Promise<void> {
    const { enabled } = turn.plugins
    const common = { conversation_id, message_id, user_id: principal.user_id, model }
    if (status === 'complete') {
      const usage = { prompt_tokens, completion_tokens, latency_ms }
      await publish(deps, principal.tenant_id, enabled, 'reply.completed', { ...common, ...usage })
    } else {
      const { code } = toAppError(signal.aborted ? signal.reason : failure)
      await publish(deps, principal.tenant_id, enabled, 'reply.failed', { ...common, code })
    }
  }
}

async function recordUsage(
  { database, clock }: Deps,
  { principal: { tenant_id, user_id }, conversation_id, admission }: Turn,
  usage: Usage & { model: string; message_id: string },
): Promise<void> {
  await queries(database).recordUsage.execute({
    ...usage,
    tenant_id,
    user_id,
    conversation_id,
    id: admission.usage_id,
    created_at: clock.now(),
  })
}
