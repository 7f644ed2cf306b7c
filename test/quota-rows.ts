import { quota_months, quota_reservations } from '../src/database/tables'
import { database } from './kit'

/** What is counted, of all tenants. */
export const quotaMonths = () =>
  database
    .select({ month: quota_months.month, used: quota_months.used, reserved: quota_months.reserved })
    .from(quota_months)
    .orderBy(quota_months.month)

/** What is held, of all tenants. */
export const quotaReservations = () => database.select({ tokens: quota_reservations.tokens }).from(quota_reservations)
