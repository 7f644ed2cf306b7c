import { and, eq } from 'drizzle-orm'
import { changedFields, recordAudit } from '../audit/store'
import type { Principal } from '../auth/principal'
import { tenant_plugins } from '../database/tables'
import { conflict, invalid, notFound } from '../errors'
import type { JobDeps } from '../jobs/job'
import { changeConfig, type Given } from './change'
import { type Config, configErrors, maskSecrets, openConfig, schemaToSend, sealConfig } from './config'
import type { PluginDeps } from './enabled'
import type { Plugin } from './plugin'
import { announce } from './publish'
import { reschedule } from './reschedule'
import type { EnabledPlugin, Enabling, PluginState } from './schema'

type Deps = JobDeps & PluginDeps

const stored = {
  name: tenant_plugins.name,
  is_enabled: tenant_plugins.is_enabled,
  config: tenant_plugins.config,
  sealed_secrets: tenant_plugins.sealed_secrets,
  failure_count: tenant_plugins.failure_count,
  last_failed_at: tenant_plugins.last_failed_at,
  last_error: tenant_plugins.last_error,
}
type Row = Pick<typeof tenant_plugins.$inferSelect, keyof typeof stored>

const withoutFailures = { failure_count: 0, last_failed_at: null, last_error: null }
/** Of a plugin that nobody has touched. */
const untouched = { is_enabled: false, config: null, sealed_secrets: null, ...withoutFailures }

/** The plugins as the principal's tenant has them. */
export function pluginStore(deps: Deps, principal: Principal) {
  const { database, clock, sealer, plugins } = deps
  const { tenant_id } = principal
  const here = (name: string) => and(eq(tenant_plugins.tenant_id, tenant_id), eq(tenant_plugins.name, name))

  const find = (name: string): Plugin => {
    const plugin = plugins.find((each) => each.name === name)
    if (!plugin) throw notFound('plugin')
    return plugin
  }

  const rowOf = async ({ name }: Plugin): Promise<Row> => {
    const [row] = await database.select(stored).from(tenant_plugins).where(here(name))
    return row ?? { name, ...untouched }
  }

  /** Undefined where the secrets do not open. */
  const configOf = (row: Row): Config | undefined => {
    try {
      return openConfig(sealer, [tenant_id, row.name], row)
    } catch {
      return undefined
    }
  }

  const requireConfig = (row: Row): Config => {
    const config = configOf(row)
    if (!config)
      throw conflict('The stored secrets of this plugin do not open any longer; send its config again (PUT).')
    return config
  }

  const stateOf = (plugin: Plugin, row: Row): PluginState => {
    const config = configOf(row)
    return {
      name: plugin.name,
      version: plugin.version,
      description: plugin.description,
      enabled: row.is_enabled,
      configured: config !== undefined && configErrors(plugin, config).length === 0,
      config_schema: schemaToSend(plugin),
      ...(row.failure_count > 0 &&
        row.last_failed_at && {
          last_failure: { at: row.last_failed_at, message: row.last_error ?? '', count: row.failure_count },
        }),
    }
  }

  /** Whatever a tenant changes, it wants to know what fails from then on. */
  const write = async (plugin: Plugin, change: Partial<typeof tenant_plugins.$inferInsert>): Promise<void> => {
    const [set, created_at] = [{ ...change, ...withoutFailures, updated_at: clock.now() }, clock.now()]
    await database
      .insert(tenant_plugins)
      .values({ tenant_id, name: plugin.name, created_at, ...set })
      .onConflictDoUpdate({ target: [tenant_plugins.tenant_id, tenant_plugins.name], set })
    const row = await rowOf(plugin)
    await reschedule(deps, tenant_id, plugin, row.is_enabled ? configOf(row) : undefined)
  }

  const record = (action: string, plugin: Plugin, detail = {}) =>
    recordAudit(deps, principal, { action: `plugin.${action}`, subject: plugin.name, detail })

  const store = async (plugin: Plugin, row: Row, given: Given) => {
    // What does not open is as good as nothing for whoever sends all of it, and cannot be the ground of a change.
    const before = given.how === 'replace' ? (configOf(row) ?? {}) : requireConfig(row)
    const { config, generated } = changeConfig(plugin, before, given)
    await write(plugin, sealConfig(sealer, [tenant_id, plugin.name], plugin, config))
    const fields = changedFields(before, config)
    if (fields.length > 0) await record('configured', plugin, { fields })
    return { config, generated }
  }

  const change = (name: string, given: Given): Promise<Config> => {
    const plugin = find(name)
    return database.transaction(async () => {
      const { config, generated } = await store(plugin, await rowOf(plugin), given)
      return { ...maskSecrets(plugin, config), ...generated }
    })
  }

  const get = async (name: string): Promise<PluginState> => {
    const plugin = find(name)
    return stateOf(plugin, await rowOf(plugin))
  }

  return {
    get,

    async list(): Promise<PluginState[]> {
      const rows = await database.select(stored).from(tenant_plugins).where(eq(tenant_plugins.tenant_id, tenant_id))
      return plugins.map((plugin) => {
        const { name } = plugin
        return stateOf(plugin, rows.find((row) => row.name === name) ?? { name, ...untouched })
      })
    },

    /** Throws invalid where neither the given nor the stored config is what the plugin needs. */
    enable(name: string, { config }: Enabling): Promise<EnabledPlugin> {
      const plugin = find(name)
      const under = '/config'
      return database.transaction(async () => {
        const row = await rowOf(plugin)
        const changed = config && (await store(plugin, row, { config, how: 'replace', under }))
        const errors = changed ? [] : configErrors(plugin, requireConfig(row), under)
        if (errors.length > 0) throw invalid(errors)
        await write(plugin, { is_enabled: true })
        if (!row.is_enabled) {
          await record('enabled', plugin)
          const told = { plugin: name, user_id: principal.user_id }
          await announce(deps, tenant_id, 'plugin.enabled', told)
        }
        const generated = Object.keys(changed?.generated ?? {}).length > 0 ? changed?.generated : undefined
        return { ...(await get(name)), ...(generated && { generated }) }
      })
    },

    disable(name: string): Promise<PluginState> {
      const plugin = find(name)
      return database.transaction(async () => {
        const { is_enabled } = await rowOf(plugin)
        if (is_enabled) {
          await write(plugin, { is_enabled: false })
          await record('disabled', plugin)
        }
        return await get(name)
      })
    },

    async config(name: string): Promise<Config> {
      const plugin = find(name)
      return maskSecrets(plugin, requireConfig(await rowOf(plugin)))
    },

    replaceConfig: (name: string, config: Config): Promise<Config> => change(name, { config, how: 'replace' }),
    mergeConfig: (name: string, config: Config): Promise<Config> => change(name, { config, how: 'merge' }),

    /** Without its config it would not do what the tenant meant, so it goes off too. */
    removeConfig(name: string): Promise<void> {
      const plugin = find(name)
      return database.transaction(async () => {
        const { is_enabled, config } = await rowOf(plugin)
        if (!is_enabled && config === null) return
        await write(plugin, { is_enabled: false, config: null, sealed_secrets: null, key_id: null })
        await record('config_removed', plugin)
      })
    },
  }
}
