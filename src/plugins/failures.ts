import { and, eq, sql } from 'drizzle-orm'
import type { Database } from '../database/database'
import { tenant_plugins } from '../database/tables'
import type { Clock } from '../ids'
import type { Sealer } from '../sealing'
import { mask } from './config'

const longestMessage = 500

/** Notes that a tenant's plugin failed, for its admin to see: one line of at most 500 characters, without its secrets. */
export async function recordFailure(
  { database, clock, sealer }: { database: Database; clock: Clock; sealer: Sealer },
  tenant_id: string,
  name: string,
  message: string,
): Promise<void> {
  const here = and(eq(tenant_plugins.tenant_id, tenant_id), eq(tenant_plugins.name, name))
  const [row] = await database.select({ sealed: tenant_plugins.sealed_secrets }).from(tenant_plugins).where(here)
  if (!row) return
  const words = withoutSecrets(message, secretsIn(sealer, row.sealed, [tenant_id, name]))
  // The sum is made by the database: two failures at once are two.
  await database
    .update(tenant_plugins)
    .set({
      failure_count: sql`${tenant_plugins.failure_count} + 1`,
      last_failed_at: clock.now(),
      last_error: words.replace(unprintable, ' ').slice(0, longestMessage).toWellFormed(),
    })
    .where(here)
}

/** What ends a line, moves a terminal's cursor, or cannot be stored. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g

function secretsIn(sealer: Sealer, sealed: string | null, owner: string[]): string[] {
  if (sealed === null) return []
  try {
    const secrets: Record<string, unknown> = JSON.parse(sealer.open(sealed, owner))
    return Object.values(secrets).filter((secret) => typeof secret === 'string')
  } catch {
    return [] // what does not open, the plugin did not have either
  }
}

/** An error may quote the address it could not reach, which may be the secret. Short ones would make holes everywhere. */
export const withoutSecrets = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter((secret) => secret.length >= 4)
    .flatMap((secret) => [secret, encodeURIComponent(secret.toWellFormed()), JSON.stringify(secret).slice(1, -1)])
    .reduce((rest, secret) => rest.replaceAll(secret, mask), text)
