import { and, eq, sql } from 'drizzle-orm'
import { type Database, oncePerDatabase } from '../database/database'
import { tenants, users } from '../database/tables'
import { forbidden } from '../errors'
import { lesser, type Role } from './policy'
import type { Claims } from './tokens'

/** The verified caller of one request. It exists only because a token verified and its user was found active. */
export type Principal = { readonly tenant_id: string; readonly user_id: string; readonly role: Role }

const queries = oncePerDatabase((database) => ({
  byExternalId: database
    .select({ user_id: users.id, role: users.role, is_active: users.is_active, tenant_is_active: tenants.is_active })
    .from(users)
    .innerJoin(tenants, eq(tenants.id, users.tenant_id))
    .where(
      and(eq(users.tenant_id, sql.placeholder('tenant_id')), eq(users.external_id, sql.placeholder('external_id'))),
    )
    .prepare('principal_by_external_id'),
}))

/** The stored user behind the claims, asked for at every request: who was deactivated is out at once. Throws forbidden. */
export async function requirePrincipal(database: Database, claims: Claims): Promise<Principal> {
  const [user] = await queries(database).byExternalId.execute({ tenant_id: claims.tenant_id, external_id: claims.sub })
  if (!user?.is_active || !user.tenant_is_active)
    throw forbidden('The token is good, but its user is not active in its tenant.')
  return { tenant_id: claims.tenant_id, user_id: user.user_id, role: lesser(claims.role, user.role) }
}
