import type { JobDeps } from '../jobs/job'
import { enqueue } from '../jobs/queue'
import type { Reporter } from '../reporter'
import { type Enabled, enabledPlugins, type PluginDeps } from './enabled'
import type { EventData, EventType } from './events'
import { wordsOf } from './guard'

/** The kind of job that brings one event to one plugin. */
export const eventJob = 'plugin.event'

/**
 * Tells the enabled plugins that want it what has happened: a job for each, in the caller's transaction, so that what
 * is undone is not told.
 */
export async function publish<Type extends EventType>(
  deps: JobDeps & { readonly reporter: Reporter },
  tenant_id: string,
  enabled: readonly Enabled[],
  type: Type,
  data: EventData[Type],
): Promise<void> {
  for (const each of enabled) {
    if (!wants(deps.reporter, tenant_id, each, type)) continue
    const event = { type, occurred_at: deps.clock.now().toISOString(), data }
    await enqueue(deps, tenant_id, { kind: eventJob, payload: { plugin: each.plugin.name, event } })
  }
}

/** As `publish`, for whoever does not know what is enabled. */
export async function announce<Type extends EventType>(
  deps: JobDeps & PluginDeps,
  tenant_id: string,
  type: Type,
  data: EventData[Type],
): Promise<void> {
  await publish(deps, tenant_id, await enabledPlugins(deps, tenant_id), type, data)
}

/** A plugin that cannot even say what it wants gets nothing. */
function wants(reporter: Reporter, tenant_id: string, enabled: Enabled, type: EventType): boolean {
  const { plugin, config } = enabled
  try {
    return plugin.events?.types(config).includes(type) ?? false
  } catch (error) {
    reporter.warn(`A plugin failed: events: ${wordsOf(enabled, error)}`, { plugin: plugin.name, tenant_id })
    return false
  }
}
