import { eq } from 'drizzle-orm'
import { changedFields, recordAudit } from '../audit/store'
import type { Principal } from '../auth/principal'
import { type Database, isUniqueViolation } from '../database/database'
import { asTenant } from '../database/reach'
import { tenant_settings, tenants } from '../database/tables'
import { AppError, conflict, notFound } from '../errors'
import { type Clock, newId } from '../ids'
import { longestName, type TenantSettings, type TenantSettingsChange } from './schema'

type Deps = { database: Database; clock: Clock }

const slugs = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * A tenant with empty settings; returns its id. For the command line. Throws conflict when the slug is taken,
 * invalid_request where it is none or the name is empty or too long.
 */
export async function createTenant(
  { database, clock }: Deps,
  { name, slug }: { name: string; slug: string },
): Promise<string> {
  requireSlug(slug)
  if (name.length > longestName || name === '')
    throw new AppError('invalid_request', `The name of a tenant has 1 to ${longestName} characters.`)
  const now = clock.now()
  const id = newId(clock)
  try {
    const create = async () => {
      await database.insert(tenants).values({ id, name, slug, created_at: now, updated_at: now })
      await database.insert(tenant_settings).values({ tenant_id: id, updated_at: now })
    }
    await asTenant(id, () => database.transaction(create))
  } catch (error) {
    if (isUniqueViolation(error)) throw conflict(`There is a tenant with the slug ${slug} already.`)
    throw error
  }
  return id
}

/** Throws invalid_request where it is none. */
export function requireSlug(slug: string): string {
  if (!slugs.test(slug))
    throw new AppError(
      'invalid_request',
      'A slug has 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end.',
    )
  return slug
}

/** The id of the tenant with this slug. Throws not_found. */
export async function tenantBySlug(database: Database, slug: string): Promise<string> {
  const [found] = await database.select({ id: tenants.id }).from(tenants).where(eq(tenants.slug, slug))
  if (!found) throw notFound('tenant')
  return found.id
}

/** The settings of the principal's tenant. */
export function tenantSettings(deps: Deps, principal: Principal) {
  const { database, clock } = deps
  const { tenant_id } = principal

  const get = async (): Promise<TenantSettings> => {
    const [found] = await database
      .select({
        name: tenants.name,
        default_model: tenant_settings.default_model,
        system_prompt: tenant_settings.system_prompt,
        monthly_token_quota: tenant_settings.monthly_token_quota,
        requests_per_minute: tenant_settings.requests_per_minute,
        retention_days: tenant_settings.retention_days,
        prices: tenant_settings.prices,
      })
      .from(tenants)
      .innerJoin(tenant_settings, eq(tenant_settings.tenant_id, tenants.id))
      .where(eq(tenants.id, tenant_id))
    if (!found) throw notFound('tenant')
    return found
  }

  const change = ({ name, ...settings }: TenantSettingsChange): Promise<TenantSettings> =>
    database.transaction(async () => {
      const before = await get()
      const updated_at = clock.now()
      if (name !== undefined) await database.update(tenants).set({ name, updated_at }).where(eq(tenants.id, tenant_id))
      await database
        .update(tenant_settings)
        .set({ ...settings, updated_at })
        .where(eq(tenant_settings.tenant_id, tenant_id))
      const after = await get()
      const fields = changedFields(before, after)
      if (fields.length > 0)
        await recordAudit(deps, principal, { action: 'tenant.changed', subject: tenant_id, detail: { fields } })
      return after
    })

  return { get, change }
}
