import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { tenantTables } from '../../../src/database/catalogue'
import type { Connection } from '../../../src/database/database'
import { asTenant } from '../../../src/database/reach'
import { tenant_plugins, tenants } from '../../../src/database/tables'
import { exportTenant } from '../../../src/operations/export-tenant'
import { importTenant } from '../../../src/operations/import-tenant'
import { buildSealer } from '../../../src/sealing'
import { encryptionKey } from '../../kit'
import { everything, seeingAll } from '../../own-database'
import { fillEveryTable, idOf, isOf } from '../../rows-of-tenants'

export const clock = { now: () => new Date('2026-03-02T09:00:00.000Z') }
export const sealer = buildSealer({ current: encryptionKey, previous: undefined })
export const canary = 'canary-secret-77aa'

/** Two tenants, of slugs slug-of-a and slug-of-b, with a row in every table, and a secret that opens. */
export async function fillTwoTenants({ database }: Connection): Promise<void> {
  await fillEveryTable(database)
  for (const tenant of ['a', 'b'] as const) {
    const tenant_id = idOf(tenant, 'tenant_id')
    const sealed_secrets = sealer.seal(canary, [tenant_id, `name-of-${tenant}`])
    await asTenant(tenant_id, () =>
      database
        .update(tenant_plugins)
        .set({ sealed_secrets, key_id: sealer.keyId ?? null })
        .where(eq(tenant_plugins.tenant_id, tenant_id)),
    )
  }
}

export const exportTo = (connection: Connection, file: string, slug = 'slug-of-a', leaveSecrets = false) =>
  exportTenant(connection, clock, { slug, file, leaveSecrets })

type Changes = { slug?: string; leaveSecrets?: boolean; sealer?: typeof sealer }
export const importFrom = ({ database }: Connection, file: string, changes: Changes = {}) =>
  importTenant(database, { file, slug: undefined, leaveSecrets: false, sealer, ...changes })

/** What stands in the tables with rows of tenants, apart from the order in which a database happens to give it. */
export async function tenantRows(connection: Connection, of: (row: object) => boolean = () => true) {
  const all = await everything(connection)
  return Object.fromEntries(
    tenantTables.map(({ name }) => [
      name,
      (all[name] ?? [])
        .filter(of)
        .map((row) => JSON.stringify(row))
        .sort(),
    ]),
  )
}

export const ofA = isOf('a')
export const ofB = isOf('b')

export type Line = Record<string, unknown>
export const linesOf = (file: string): Line[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

/** An archive of its own in the folder, of these lines: text as it is, all else as JSON. */
export function archiveOf(folder: string, lines: readonly (Line | string)[]): string {
  const file = join(folder, `${crypto.randomUUID()}.jsonl`)
  writeFileSync(file, lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''))
  return file
}

export const slugsIn = async ({ database }: Connection) =>
  (await seeingAll(() => database.select({ slug: tenants.slug }).from(tenants).orderBy(tenants.slug))).map(
    ({ slug }) => slug,
  )

/** What it was refused with, or that it was not. */
export const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'not refused',
    (error: Error) => error.message,
  )
