import { and, count, desc, eq, lt, ne } from 'drizzle-orm'
import { changedFields, recordAudit } from '../audit/store'
import { permissionsOf } from '../auth/policy'
import type { Principal } from '../auth/principal'
import { type Database, isUniqueViolation } from '../database/database'
import { tenants, users } from '../database/tables'
import { conflict, notFound } from '../errors'
import { type Clock, newId, parseId } from '../ids'
import type { JobDeps } from '../jobs/job'
import { decodeCursor, defaultLimit, idCursor, type Page, paged } from '../page'
import type { PluginDeps } from '../plugins/enabled'
import { announce } from '../plugins/publish'
import type { Me, NewUser, User, UserChange, UserQuery } from './schema'

const visible = {
  id: users.id,
  tenant_id: users.tenant_id,
  external_id: users.external_id,
  email: users.email,
  display_name: users.display_name,
  role: users.role,
  is_active: users.is_active,
  created_at: users.created_at,
  updated_at: users.updated_at,
}

type Deps = { database: Database; clock: Clock }

/** A user of a tenant; also for the command line, which has no principal. Throws conflict when a name is taken. */
export async function createUser(
  { database, clock }: Deps,
  tenant_id: string,
  { display_name = null, email, ...user }: NewUser,
): Promise<User> {
  const now = clock.now()
  try {
    const [created] = await database
      .insert(users)
      .values({
        ...user,
        tenant_id,
        id: newId(clock),
        email: email.toLowerCase().normalize('NFC'),
        display_name,
        created_at: now,
        updated_at: now,
      })
      .returning(visible)
    if (!created) throw new Error('The insert of a user returned no row.')
    return created
  } catch (error) {
    if (isUniqueViolation(error)) throw conflict('A user with this external_id or email is in the tenant already.')
    throw error
  }
}

/** Throws not_found where the tenant has no user of this external id. For the command line. */
export async function requireUser(database: Database, tenant_id: string, external_id: string): Promise<void> {
  const found = await database.$count(users, and(eq(users.tenant_id, tenant_id), eq(users.external_id, external_id)))
  if (found === 0) throw notFound('user')
}

/** The users of the principal's tenant. */
export function userStore(deps: JobDeps & PluginDeps, principal: Principal) {
  const { tenant_id, user_id, role } = principal
  const { database, clock } = deps
  const mine = (id: string) => and(eq(users.tenant_id, tenant_id), eq(users.id, parseId(id, 'user')))

  const get = async (id: string): Promise<User> => {
    const [found] = await database.select(visible).from(users).where(mine(id))
    if (!found) throw notFound('user')
    return found
  }

  const change = (id: string, { role, is_active, display_name }: UserChange, action = 'user.changed'): Promise<User> =>
    database.transaction(async () => {
      const before = await get(id)
      const staysAdmin = (role ?? before.role) === 'admin' && (is_active ?? before.is_active)
      if (!staysAdmin && before.role === 'admin' && before.is_active) await requireAnotherAdmin(before.id)
      const [updated] = await database
        .update(users)
        .set({
          ...(role !== undefined && { role }),
          ...(is_active !== undefined && { is_active }),
          ...(display_name !== undefined && { display_name }),
          updated_at: clock.now(),
        })
        .where(mine(id))
        .returning(visible)
      if (!updated) throw notFound('user')
      const fields = changedFields(before, { ...updated, updated_at: before.updated_at })
      if (fields.length > 0) await recordAudit(deps, principal, { action, subject: updated.id, detail: { fields } })
      return updated
    })

  /** A tenant that nobody can manage would need the operator of the machine. */
  const requireAnotherAdmin = async (id: string): Promise<void> => {
    const others = and(
      eq(users.tenant_id, tenant_id),
      eq(users.role, 'admin'),
      eq(users.is_active, true),
      ne(users.id, id),
    )
    const [counted] = await database.select({ total: count() }).from(users).where(others)
    if (!counted?.total) throw conflict('This is the last active admin of the tenant; make another user admin first.')
  }

  return {
    get,
    change,
    create: (user: NewUser): Promise<User> =>
      database.transaction(async () => {
        const created = await createUser(deps, tenant_id, user)
        await recordAudit(deps, principal, { action: 'user.created', subject: created.id })
        const told = { user_id: created.id, role: created.role }
        await announce(deps, tenant_id, 'user.created', told)
        return created
      }),
    /** Users are never deleted, because what they wrote and used stays theirs. */
    deactivate: async (id: string): Promise<void> => void (await change(id, { is_active: false }, 'user.deactivated')),

    async list({ cursor, offset = 0, ...query }: UserQuery): Promise<Page<User>> {
      const { limit = defaultLimit } = query
      const before = cursor === undefined ? undefined : lt(users.id, decodeCursor(cursor, idCursor))
      const [rows, [counted]] = await Promise.all([
        database
          .select(visible)
          .from(users)
          .where(and(eq(users.tenant_id, tenant_id), before))
          .orderBy(desc(users.id))
          .limit(limit + 1)
          .offset(offset),
        database.select({ total: count() }).from(users).where(eq(users.tenant_id, tenant_id)),
      ])
      return paged(rows, query, counted?.total ?? 0, ({ id }) => id)
    },

    async me(): Promise<Me> {
      const [found] = await database
        .select({ user: visible, tenant: { id: tenants.id, slug: tenants.slug, name: tenants.name } })
        .from(users)
        .innerJoin(tenants, eq(tenants.id, users.tenant_id))
        .where(mine(user_id))
      if (!found) throw notFound('user')
      return { ...found, role, permissions: permissionsOf(role) }
    },
  }
}
