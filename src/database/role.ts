import { dialect } from './dialect'
import { advisoryLock } from './migrate'
import type { Scope, Session } from './session'

/**
 * Thrown where row level security would hide nothing (a superuser's queries, and those of a role with BYPASSRLS, see every
 * row), or everything: the driver as it comes from the registry drops whose rows a statement is about.
 */
export async function requireBoundRole({ session }: Scope): Promise<void> {
  if (dialect === 'sqlite') return
  const [role] = await rows(session, bypassing)
  const [told] = await session.run({ text: reachTold, params: [], shape: 'arrays', reach: 'all' })
  if ((told as unknown[])[0] !== 'all')
    throw new Error('The postgres package here lacks patches/ of Tenantry, without which a statement finds no rows')
  if (role?.bypasses !== true) return
  throw new Error(
    `Row level security does not hold for ${role.name}, the role of DATABASE_URL, which is a superuser or has BYPASSRLS. Move this URL to MIGRATION_DATABASE_URL, and name in DATABASE_URL the role that the service is to have (postgres://tenantry:<a new password>@...): it is made at start. Or set ROW_LEVEL_SECURITY=off`,
  )
}

const reachTold = "select current_setting('tenantry.tenant_id', true)"

const bypassing =
  'select rolname as name, rolsuper or rolbypassrls as bypasses from pg_roles where rolname = current_user'

/**
 * Lets the role of `url` do the service's work, and no more: it reads and writes rows, and changes no table. Makes it, with
 * the password of the URL, where there is none of that name. For the owner of the tables; safe from several processes.
 */
export async function admitRole({ session }: Scope, url: string): Promise<void> {
  const address = new URL(url)
  const [name, password] = [address.username, address.password].map(decodeURIComponent)
  await session.nest(async (inner) => {
    const run = (text: string) => rows(inner, text)
    const written = async (format: string, ...params: unknown[]) => {
      const marks = params.map((_, at) => `, $${at + 2}::text`).join('')
      const [made] = await rows(inner, `select format($1${marks}) as text`, [format, ...params])
      await run(String(made?.text))
    }
    await run('set transaction isolation level read committed')
    await run(`select pg_advisory_xact_lock(${advisoryLock})`)
    const [is] = await rows(inner, 'select $1::text = current_user as me, to_regrole(quote_ident($1)) is null as new', [
      name,
    ])
    if (is?.me === true) return
    if (is?.new === true) await written('create role %I login password %L', name, password)
    await written('grant usage on schema public to %I', name)
    await written('grant select, insert, update, delete on all tables in schema public to %I', name)
    const [search] = await rows(inner, searchIsSlow)
    if (search?.helped === true) await run('alter function pg_catalog.ts_match_vq(tsvector, tsquery) leakproof')
    await written('revoke insert, update, delete on migrations from %I', name)
  })
}

/**
 * Before an operator that may leak what it sees, Postgres looks at policies, and so reads a tenant's messages one by one
 * instead of the full-text index. `@@` is only not declared to keep what it sees to itself; a superuser may do that.
 */
const searchIsSlow = `
  select rolsuper and not proleakproof as helped from pg_roles, pg_proc
  where rolname = current_user and pg_proc.oid = 'pg_catalog.ts_match_vq(tsvector, tsquery)'::regprocedure`

const rows = async (session: Session, text: string, params: readonly unknown[] = []) =>
  (await session.run({ text, params, shape: 'objects' })) as Record<string, unknown>[]
