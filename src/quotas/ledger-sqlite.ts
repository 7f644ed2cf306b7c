import { and, eq, sql } from 'drizzle-orm'
import { type Database, oncePerDatabase } from '../database/database'
import { quota_months, quota_reservations } from '../database/tables'
import type { Ledger } from './ledger'

const given = sql.placeholder
const { used, reserved } = quota_months
const { id, month, tokens, expires_at } = quota_reservations

const thisMonth = and(eq(quota_months.tenant_id, given('tenant_id')), eq(quota_months.month, given('month')))
const thisOne = and(eq(quota_reservations.tenant_id, given('tenant_id')), eq(id, given('id')))

const steps = oncePerDatabase((database) => ({
  count: database
    .update(quota_months)
    .set({ reserved: sql`${reserved} + ${given('tokens')}` })
    .where(and(thisMonth, sql`${used} + ${reserved} < ${given('quota')}`))
    .returning({ used, reserved })
    .prepare('quota_count'),
  hold: database
    .insert(quota_reservations)
    .values({
      tenant_id: given('tenant_id'),
      id: given('id'),
      month: given('month'),
      tokens: given('tokens'),
      expires_at: given('expires_at'),
    })
    .returning({ id })
    .prepare('quota_hold'),
  end: database.delete(quota_reservations).where(thisOne).returning({ month, tokens }).prepare('quota_end'),
  release: database
    .update(quota_reservations)
    .set({ tokens: 0, expires_at: sql`${sql.param(given('later'), expires_at)}` })
    .where(and(thisOne, eq(tokens, given('tokens'))))
    .returning({ month })
    .prepare('quota_release'),
  enter: database
    .update(quota_months)
    .set({ used: sql`${used} + ${given('spent')}`, reserved: sql`${reserved} - ${given('tokens')}` })
    .where(thisMonth)
    .returning({ used })
    .prepare('quota_enter'),
}))

/** Transactions, because SQLite changes no rows inside WITH. It has one writer, who is alone from BEGIN to COMMIT. */
export const sqliteLedger = (database: Database): Ledger => ({
  reserve: (reservation, quota) =>
    database.transaction(async () => {
      const [count] = await steps(database).count.execute({ ...reservation, quota })
      if (count) await steps(database).hold.execute(reservation)
      return count
    }),
  settle: (tenant_id, id, spent) =>
    database.transaction(async () => {
      const [ended] = await steps(database).end.execute({ tenant_id, id })
      if (ended) await steps(database).enter.execute({ tenant_id, ...ended, spent })
    }),
  lapse: (held, later) =>
    database.transaction(async () => {
      const [released] = await steps(database).release.execute({ ...held, later })
      if (released) await steps(database).enter.execute({ ...held, ...released, spent: 0 })
    }),
})
