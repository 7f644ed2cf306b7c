import { and, eq, sql } from 'drizzle-orm'
import { type Database, oncePerDatabase } from '../database/database'
import { tenant_plugins } from '../database/tables'
import type { Plugin } from './plugin'

/** A plugin that a tenant switched on, with its config as it is used. */
export type Enabled = { readonly plugin: Plugin; readonly config: Record<string, unknown> }

const queries = oncePerDatabase((database) => ({
  enabled: database
    .select({ name: tenant_plugins.name, config: tenant_plugins.config })
    .from(tenant_plugins)
    .where(and(eq(tenant_plugins.tenant_id, sql.placeholder('tenant_id')), eq(tenant_plugins.is_enabled, true)))
    .prepare('plugins_enabled'),
}))

/** STUB until the state of plugins is merged. */
export async function enabledPlugins(
  { database, plugins }: { database: Database; plugins: readonly Plugin[] },
  tenant_id: string,
): Promise<Enabled[]> {
  const rows = await queries(database).enabled.execute({ tenant_id })
  return plugins.flatMap((plugin) => {
    const row = rows.find(({ name }) => name === plugin.name)
    return row ? [{ plugin, config: row.config ?? {} }] : []
  })
}
