import { and, eq, sql } from 'drizzle-orm'
import { type Database, oncePerDatabase } from '../database/database'
import { quota_months, quota_reservations } from '../database/tables'
import type { Ledger } from './ledger'

const given = sql.placeholder
const { used, reserved } = quota_months
const { tenant_id, month, tokens, expires_at } = quota_reservations

const ofTenant = eq(quota_months.tenant_id, given('tenant_id'))
const thisOne = and(eq(tenant_id, given('tenant_id')), eq(quota_reservations.id, given('id')))
const time = (name: string) => sql`cast(${sql.param(given(name), expires_at)} as timestamptz)`

const statements = oncePerDatabase((database) => {
  const counted = database.$with('counted').as(
    database
      .update(quota_months)
      .set({ reserved: sql`${reserved} + ${given('tokens')}` })
      .where(and(ofTenant, eq(quota_months.month, given('month')), sql`${used} + ${reserved} < ${given('quota')}`))
      .returning({ tenant_id: quota_months.tenant_id, month: quota_months.month, used, reserved }),
  )
  const held = database.$with('held').as(
    database
      .insert(quota_reservations)
      .select(
        database
          .select({
            tenant_id: counted.tenant_id,
            id: sql`cast(${given('id')} as uuid)`.as('id'),
            month: counted.month,
            tokens: sql`cast(${given('tokens')} as bigint)`.as('tokens'),
            expires_at: time('expires_at').as('expires_at'),
          })
          .from(counted),
      )
      .returning({ id: quota_reservations.id }),
  )
  const gone = database
    .$with('gone')
    .as(database.delete(quota_reservations).where(thisOne).returning({ tenant_id, month, tokens }))
  const lapsed = database.$with('lapsed').as(
    database
      .update(quota_reservations)
      .set({ tokens: 0, expires_at: time('later') })
      .where(and(thisOne, eq(tokens, given('tokens'))))
      .returning({ tenant_id, month }),
  )
  return {
    reserve: database
      .with(counted, held)
      .select({ used: counted.used, reserved: counted.reserved })
      .from(counted)
      .prepare('quota_reserve'),
    settle: database
      .with(gone)
      .update(quota_months)
      .set({ used: sql`${used} + ${given('spent')}`, reserved: sql`${reserved} - ${gone.tokens}` })
      .from(gone)
      .where(and(ofTenant, eq(quota_months.month, gone.month)))
      .prepare('quota_settle'),
    lapse: database
      .with(lapsed)
      .update(quota_months)
      .set({ reserved: sql`${reserved} - ${given('tokens')}` })
      .from(lapsed)
      .where(and(ofTenant, eq(quota_months.month, lapsed.month)))
      .prepare('quota_lapse'),
  }
})

/**
 * One statement each, outside any transaction and so at "read committed": whoever waits for a row that another changes
 * looks at its newest version afterwards, with the condition, and that is why all that is compared stands in one row.
 * A transaction of ours would be "serializable", where of many at once all but one have to begin again.
 */
export const postgresLedger = (database: Database): Ledger => ({
  async reserve(reservation, quota) {
    const [count] = await statements(database).reserve.execute({ ...reservation, quota })
    return count
  },
  async settle(tenant_id, id, spent) {
    await statements(database).settle.execute({ tenant_id, id, spent })
  },
  async lapse(held, later) {
    await statements(database).lapse.execute({ ...held, later })
  },
})
