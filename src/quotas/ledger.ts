import type { Database } from '../database/database'
import { dialect } from '../database/dialect'
import { postgresLedger } from './ledger-postgres'
import { sqliteLedger } from './ledger-sqlite'

export type Reservation = { tenant_id: string; id: string; month: string; tokens: number; expires_at: Date }
export type Count = { used: number; reserved: number }

/**
 * A tenant's month and the reservations in it, changed together: each of these is done whole or not at all, and what
 * comes at the same time, from another process too, comes before or after it. In no transaction of the caller's.
 */
export type Ledger = {
  /** Undefined, and nothing held, where `quota` tokens are used or reserved already. Needs the month's row. */
  reserve(reservation: Reservation, quota: number): Promise<Count | undefined>
  /** The reservation is over, and what its reply came to is used. Nothing where it is over already. */
  settle(tenant_id: string, id: string, spent: number): Promise<void>
  /** Gives its tokens back and keeps the reservation until `later`, for a reply that may come still. */
  lapse(held: { tenant_id: string; id: string; tokens: number }, later: Date): Promise<void>
}

/** The one place where the quotas know what database they are on. */
export const quotaLedger: (database: Database) => Ledger = dialect === 'postgres' ? postgresLedger : sqliteLedger
