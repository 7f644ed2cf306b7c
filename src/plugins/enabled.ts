import { and, eq, sql } from 'drizzle-orm'
import { type Database, oncePerDatabase } from '../database/database'
import { tenant_plugins } from '../database/tables'
import type { Clock } from '../ids'
import type { Reporter } from '../reporter'
import { SealError, type Sealer } from '../sealing'
import { type Config, configErrors, openConfig } from './config'
import { recordFailure } from './failures'
import type { Plugin } from './plugin'

/** A plugin that a tenant has switched on, with the tenant's config: the same object for as long as its row says the same. */
export type Enabled = { readonly plugin: Plugin; readonly config: Config }

export type PluginDeps = {
  readonly database: Database
  readonly plugins: readonly Plugin[]
  readonly sealer: Sealer
  readonly clock: Clock
  readonly reporter: Reporter
}

const queries = oncePerDatabase((database) => ({
  enabled: database
    .select({
      name: tenant_plugins.name,
      // As text, to be compared with what was read before, and parsed only when it is new.
      config: sql<string | null>`cast(${tenant_plugins.config} as text)`,
      sealed_secrets: tenant_plugins.sealed_secrets,
    })
    .from(tenant_plugins)
    .where(and(eq(tenant_plugins.tenant_id, sql.placeholder('tenant_id')), eq(tenant_plugins.is_enabled, true)))
    .prepare('enabled_plugins'),
}))

/**
 * What a tenant has switched on, in the order of the registry. What cannot be read any longer (its config does not fit a
 * newer schema, its secrets do not open) is left out, and said in its state and in the log, and to `onLeftOut`.
 */
export async function enabledPlugins(
  deps: PluginDeps,
  tenant_id: string,
  onLeftOut?: (plugin: Plugin) => void,
): Promise<Enabled[]> {
  const rows = await queries(deps.database).enabled.execute({ tenant_id })
  if (rows.length === 0) return []
  const enabled: Enabled[] = []
  for (const plugin of deps.plugins) {
    const row = rows.find(({ name }) => name === plugin.name)
    const found = row && (await read(deps, tenant_id, plugin, row))
    if (found) enabled.push(found)
    else if (row) onLeftOut?.(plugin)
  }
  return enabled
}

type Row = { config: string | null; sealed_secrets: string | null }
/** `undefined`: what was read is of no use, and that was said. */
type Kept = { readonly sealer: Sealer; readonly enabled: Enabled | undefined; readonly size: number }

/** Configs of each registry, the latest used last. A key is all that was read, so what is kept cannot be out of date. */
const caches = new WeakMap<readonly Plugin[], { kept: Map<string, Kept>; size: number }>()
/** Characters of all keys together. */
const largestCache = 4_000_000

async function read(deps: PluginDeps, tenant_id: string, plugin: Plugin, row: Row): Promise<Enabled | undefined> {
  const cache = caches.get(deps.plugins) ?? { kept: new Map<string, Kept>(), size: 0 }
  caches.set(deps.plugins, cache)
  const key = JSON.stringify([tenant_id, plugin.name, row.config, row.sealed_secrets])
  const known = cache.kept.get(key)
  cache.kept.delete(key)
  if (known?.sealer === deps.sealer) {
    cache.kept.set(key, known)
    return known.enabled
  }

  const opened = open(deps.sealer, tenant_id, plugin, row)
  const enabled = typeof opened === 'string' ? undefined : { plugin, config: frozen(opened) }
  cache.kept.set(key, { sealer: deps.sealer, enabled, size: key.length })
  cache.size += key.length - (known?.size ?? 0)
  for (const [oldest, { size }] of cache.kept) {
    if (cache.size <= largestCache) break
    cache.kept.delete(oldest)
    cache.size -= size
  }
  if (typeof opened === 'string') {
    deps.reporter.warn('A plugin is enabled but left out.', { tenant_id, plugin: plugin.name, because: opened })
    await recordFailure(deps, tenant_id, plugin.name, opened)
  }
  return enabled
}

/** Every chat of the tenant is given the same one. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(Object.freeze(value))) frozen(part)
  return value
}

/** The config, or in words why there is none. */
function open(sealer: Sealer, tenant_id: string, plugin: Plugin, { config, sealed_secrets }: Row): Config | string {
  try {
    const stored = { config: config === null ? null : JSON.parse(config), sealed_secrets }
    const opened = openConfig(sealer, [tenant_id, plugin.name], stored)
    const [wrong] = configErrors(plugin, opened)
    return wrong ? `The stored config is not valid any longer: ${wrong.path || 'it'} ${wrong.message}.` : opened
  } catch (error) {
    return error instanceof SealError
      ? `The stored secrets do not open: ${error.message}`
      : 'The stored config cannot be read.'
  }
}
