import { and, count, desc, eq, lt } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import type { Database } from '../database/database'
import { audit_log } from '../database/tables'
import { type Clock, newId } from '../ids'
import { decodeCursor, defaultLimit, idCursor, type Page, paged } from '../page'
import type { AuditEntry, AuditQuery } from './schema'

/** `detail` says which fields, and never holds their values. */
export type Act = { action: string; subject: string; detail?: Record<string, unknown> }

/** Notes who did what. In the transaction that does it, so that there is neither without the other. */
export async function recordAudit(
  { database, clock }: { database: Database; clock: Clock },
  { tenant_id, user_id }: Principal,
  { action, subject, detail = {} }: Act,
): Promise<void> {
  await database
    .insert(audit_log)
    .values({ tenant_id, id: newId(clock), user_id, action, subject, detail, created_at: clock.now() })
}

/** In which fields two values differ, for `detail`. */
export const changedFields = (before: Record<string, unknown>, after: Record<string, unknown>): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => !Bun.deepEquals(before[name], after[name], true))
    .sort()

const visible = {
  id: audit_log.id,
  user_id: audit_log.user_id,
  action: audit_log.action,
  subject: audit_log.subject,
  detail: audit_log.detail,
  created_at: audit_log.created_at,
}

/** What was done in the principal's tenant. Entries are only ever added. */
export function auditStore({ database }: { database: Database }, { tenant_id }: Principal) {
  return {
    async list({ cursor, offset = 0, ...query }: AuditQuery): Promise<Page<AuditEntry>> {
      const { limit = defaultLimit } = query
      const before = cursor === undefined ? undefined : lt(audit_log.id, decodeCursor(cursor, idCursor))
      const [rows, [counted]] = await Promise.all([
        database
          .select(visible)
          .from(audit_log)
          .where(and(eq(audit_log.tenant_id, tenant_id), before))
          .orderBy(desc(audit_log.id))
          .limit(limit + 1)
          .offset(offset),
        database.select({ total: count() }).from(audit_log).where(eq(audit_log.tenant_id, tenant_id)),
      ])
      return paged(rows, query, counted?.total ?? 0, ({ id }) => id)
    },
  }
}
