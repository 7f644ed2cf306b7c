import { and, asc, eq, gt, isNotNull, or } from 'drizzle-orm'
import type { Database } from '../database/database'
import { tenant_plugins } from '../database/tables'
import type { Sealer } from '../sealing'

/** Throws where a secret is stored that none of the keys here opens: whoever started with a wrong key learns it at once. */
export async function requireKeys(database: Database, { keyIds }: Sealer): Promise<void> {
  const found = await database
    .selectDistinct({ key_id: tenant_plugins.key_id })
    .from(tenant_plugins)
    .where(isNotNull(tenant_plugins.key_id))
  const missing = found.map(({ key_id }) => key_id ?? '').filter((key_id) => !keyIds.includes(key_id))
  if (missing.length > 0) {
    throw new Error(
      `The database has secrets sealed with a key that is not here (${missing.sort().join(', ')}); set ENCRYPTION_KEY_PREVIOUS to the key that was in ENCRYPTION_KEY before, or put that one back`,
    )
  }
}

/** How many rows one transaction seals anew: requests wait no longer for it than for one of their own. */
const rowsAtOnce = 50

/**
 * Seals with the current key what another one sealed; says of how many plugins, and how many could not be opened and
 * stay as they are. May run beside servers that have both keys, and again.
 */
export async function rotateKeys(database: Database, sealer: Sealer): Promise<{ sealed: number; unopened: number }> {
  const count = { sealed: 0, unopened: 0 }
  let last: { tenant_id: string; name: string } | undefined
  do {
    const { tenant_id = '', name = '' } = last ?? {}
    const after =
      last &&
      or(
        gt(tenant_plugins.tenant_id, tenant_id),
        and(eq(tenant_plugins.tenant_id, tenant_id), gt(tenant_plugins.name, name)),
      )
    const done = await database.transaction(async () => {
      const rows = await database
        .select({
          tenant_id: tenant_plugins.tenant_id,
          name: tenant_plugins.name,
          sealed: tenant_plugins.sealed_secrets,
          key_id: tenant_plugins.key_id,
        })
        .from(tenant_plugins)
        .where(and(isNotNull(tenant_plugins.sealed_secrets), after))
        .orderBy(asc(tenant_plugins.tenant_id), asc(tenant_plugins.name))
        .limit(rowsAtOnce)
      const old = rows.filter(({ key_id }) => key_id !== sealer.keyId)
      const anew = old.flatMap(({ tenant_id, name, sealed }) => {
        const plain = opened(sealer, sealed ?? '', [tenant_id, name])
        return plain === undefined ? [] : [{ tenant_id, name, sealed: sealer.seal(plain, [tenant_id, name]) }]
      })
      for (const { tenant_id, name, sealed } of anew) {
        await database
          .update(tenant_plugins)
          .set({ sealed_secrets: sealed, key_id: sealer.keyId ?? null })
          .where(and(eq(tenant_plugins.tenant_id, tenant_id), eq(tenant_plugins.name, name)))
      }
      return { last: rows.at(-1), sealed: anew.length, unopened: old.length - anew.length }
    })
    last = done.last
    count.sealed += done.sealed
    count.unopened += done.unopened
  } while (last)
  return count
}

function opened(sealer: Sealer, sealed: string, owner: string[]): string | undefined {
  try {
    return sealer.open(sealed, owner)
  } catch {
    return undefined
  }
}
