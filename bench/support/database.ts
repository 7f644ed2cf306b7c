import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signToken } from '../../src/auth/tokens'
import { connect, type Database } from '../../src/database/database'
import { migrate } from '../../src/database/migrate'
import { acrossTenants } from '../../src/database/reach'
import { conversations } from '../../src/database/tables'
import { newId, systemClock } from '../../src/ids'
import { createTenant } from '../../src/tenants/store'
import { createUser } from '../../src/users/store'
import { secret } from './processes'

/** Who calls, and in which conversations. */
export type Caller = { tenant_id: string; user_id: string; authorization: string; conversations: string[] }

/** A migrated SQLite file in a folder of its own, which goes when it is disposed of. */
export async function temporaryDatabase() {
  const folder = mkdtempSync(join(tmpdir(), 'tenantry-bench-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove) // where the program was stopped halfway
  const url = `sqlite:${join(folder, 'bench.db')}`
  await using connection = connect(url)
  await migrate(connection.root)
  return { url, folder, [Symbol.dispose]: remove }
}

/** Tenants with one operator each, and this many conversations of the operator's. */
export async function populate(url: string, tenants: number, conversationsEach: number): Promise<Caller[]> {
  await using connection = connect(url)
  const { database } = connection
  const fill = async () => {
    const callers: Caller[] = []
    for (let n = 0; n < tenants; n++) callers.push(await addCaller(database, `tenant-${n}`, conversationsEach))
    return callers
  }
  return await acrossTenants('they are filled at once', () => database.transaction(fill))
}

export async function addCaller(database: Database, slug: string, conversationsEach: number): Promise<Caller> {
  const deps = { database, clock: systemClock }
  const tenant_id = await createTenant(deps, { slug, name: slug })
  const user = { external_id: 'olivia', email: `olivia@${slug}.example`, role: 'operator' } as const
  const { id: user_id } = await createUser(deps, tenant_id, user)
  const now = systemClock.now()
  const rows = Array.from({ length: conversationsEach }, (_, n) => ({
    tenant_id,
    user_id,
    id: newId(systemClock),
    title: `Plan number ${n} of the third quarter`,
    metadata: { channel: 'web' },
    created_at: now,
    updated_at: now,
  }))
  await database.insert(conversations).values(rows)
  return {
    tenant_id,
    user_id,
    authorization: `Bearer ${await tokenFor(user.external_id, tenant_id)}`,
    conversations: rows.map(({ id }) => id),
  }
}

const tokenFor = (sub: string, tenant_id: string) =>
  signToken(
    { sub, tenant_id, role: 'operator' },
    { secret, issuer: undefined, audience: 'tenantry', jwksUrl: undefined },
    systemClock,
    3600,
  )
