import { and, eq, gte, lt, ne } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import type { Database } from '../database/database'
import { idempotency_keys, messages } from '../database/tables'
import { conflict, invalid } from '../errors'
import type { Clock } from '../ids'
import type { Question, Reply } from './schema'

/** How long a key is remembered. */
export const keptForMs = 24 * 60 * 60 * 1000
/** An attempt that neither replied nor failed for this long has died with its process. */
const leaseSlackMs = 30_000

export const visibleAscii = /^[\x21-\x7e]{1,255}$/

/** The header's value; undefined when there is none. */
export function parseIdempotencyKey(request: Request): string | undefined {
  const key = request.headers.get('idempotency-key')
  if (key === null) return undefined
  if (!visibleAscii.test(key))
    throw invalid([{ in: 'header', path: '/idempotency-key', message: 'must be 1 to 255 visible ASCII characters' }])
  return key
}

/** Where a repeated request stands: not seen yet, already answered, or begun and not ended well. */
export type Standing =
  | { state: 'new' }
  | { state: 'answered'; reply: Reply }
  | { state: 'resumed'; conversation_id: string; position: number; lease: Lease }

/** An attempt's hold on its key, and until when. One that lives longer may find that the next has taken over. */
export type Lease = Date

type Deps = { database: Database; clock: Clock }

/**
 * The keys of one principal: another user's, or another tenant's, same key is another key.
 * A request with a key appends the user's message once and is replied to once, however often it is sent
 * (draft-ietf-httpapi-idempotency-key-header). All but `answered` belong in the caller's transaction.
 */
export function idempotencyKeys({ database, clock }: Deps, { tenant_id, user_id }: Principal, key: string) {
  const mine = and(
    eq(idempotency_keys.tenant_id, tenant_id),
    eq(idempotency_keys.user_id, user_id),
    eq(idempotency_keys.key, key),
  )
  const leaseUntil = (totalMs: number): Lease => new Date(clock.now().getTime() + totalMs + leaseSlackMs)

  return {
    /** What the key answers with already, without claiming anything. Belongs in no transaction. */
    async answered(question: Question): Promise<Reply | undefined> {
      const [known] = await database
        .select({ fingerprint: idempotency_keys.fingerprint, response: idempotency_keys.response })
        .from(idempotency_keys)
        .where(and(mine, gte(idempotency_keys.created_at, new Date(clock.now().getTime() - keptForMs))))
      if (!known?.response || known.fingerprint !== fingerprintOf(question)) return undefined
      return known.response as Reply
    },

    /** Throws conflict while another attempt runs, invalid_request when the key came with another body before. */
    async claim(question: Question, totalMs: number): Promise<Standing> {
      const now = clock.now()
      await database
        .delete(idempotency_keys)
        .where(
          and(
            eq(idempotency_keys.tenant_id, tenant_id),
            lt(idempotency_keys.created_at, new Date(now.getTime() - keptForMs)),
          ),
        )
      const [known] = await database
        .select({
          fingerprint: idempotency_keys.fingerprint,
          response: idempotency_keys.response,
          locked_until: idempotency_keys.locked_until,
          conversation_id: idempotency_keys.conversation_id,
          position: messages.position,
        })
        .from(idempotency_keys)
        .innerJoin(
          messages,
          and(eq(messages.tenant_id, idempotency_keys.tenant_id), eq(messages.id, idempotency_keys.message_id)),
        )
        .where(mine)
      if (!known) return { state: 'new' }
      if (known.fingerprint !== fingerprintOf(question)) {
        throw invalid([
          {
            in: 'header',
            path: '/idempotency-key',
            message: 'was used with another body; use a new key for a new request',
          },
        ])
      }
      if (known.response) return { state: 'answered', reply: known.response as Reply }
      // One that lasts longer than any was given by a clock that has been set back since.
      const longest = leaseUntil(totalMs + leaseSlackMs)
      if (known.locked_until > now && known.locked_until <= longest) throw stillRunning()
      const lease = leaseUntil(totalMs)
      await database.update(idempotency_keys).set({ locked_until: lease }).where(mine)
      return { state: 'resumed', conversation_id: known.conversation_id, position: known.position, lease }
    },

    async begin(
      question: Question,
      totalMs: number,
      { conversation_id, message_id }: { conversation_id: string; message_id: string },
    ): Promise<Lease> {
      const lease = leaseUntil(totalMs)
      const begun = await database
        .insert(idempotency_keys)
        .values({
          tenant_id,
          user_id,
          key,
          fingerprint: fingerprintOf(question),
          conversation_id,
          message_id,
          locked_until: lease,
          created_at: clock.now(),
        })
        // Another process may have been faster since `claim` looked: its request is the one that runs.
        .onConflictDoNothing()
        .returning({ key: idempotency_keys.key })
      if (begun.length === 0) throw stillRunning()
      return lease
    },

    /** True where another attempt has taken over. */
    async isLost(lease: Lease): Promise<boolean> {
      const others = await database
        .select({ key: idempotency_keys.key })
        .from(idempotency_keys)
        .where(and(mine, ne(idempotency_keys.locked_until, lease)))
      return others.length > 0
    },

    /** From now on the key answers with this. */
    async answer(reply: Reply): Promise<void> {
      await database.update(idempotency_keys).set({ response: reply }).where(mine)
    },

    /** The attempt failed; the next one with this key may ask the model again. */
    async release(): Promise<void> {
      await database.update(idempotency_keys).set({ locked_until: clock.now() }).where(mine)
    },
  }
}

const stillRunning = () => conflict('A request with this Idempotency-Key is still running; wait for it.')

/** `stream` is how the answer travels, not what was asked. */
const fingerprintOf = ({ message, conversation_id, model }: Question): string =>
  new Bun.CryptoHasher('sha256').update(JSON.stringify([message, conversation_id ?? null, model ?? null])).digest('hex')
