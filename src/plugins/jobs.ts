import { Type } from '@sinclair/typebox'
import type { Deps } from '../deps'
import { EgressError } from '../egress/egress'
import { HopelessJob, type JobContext, type JobKind } from '../jobs/job'
import { shape } from '../schema'
import { type Enabled, enabledPlugins } from './enabled'
import type { PluginEvent } from './events'
import { contextOf, noteFailure } from './guard'
import type { PluginContext } from './plugin'
import { eventJob } from './publish'
import { scheduleJob } from './reschedule'

const EventPayload = shape({
  plugin: Type.String(),
  event: shape({
    type: Type.String(),
    occurred_at: Type.String(),
    data: Type.Record(Type.String(), Type.Unknown()),
  }),
})

/** Brings one event to one plugin. */
export const pluginEvents = (deps: Deps): JobKind<typeof EventPayload> => ({
  name: eventJob,
  payload: EventPayload,
  mostAttempts: 8,
  timeoutMs: 30_000,
  run: ({ plugin, event }, job) =>
    work(deps, plugin, job, `event ${event.type}`, async ({ plugin }, context) => {
      // Written by `publish`, whose types are these.
      await plugin.events?.run({ ...(event as PluginEvent), id: job.id }, context)
    }),
})

const SchedulePayload = shape({ plugin: Type.String(), at: Type.String() })

/** Does a plugin's recurring work once. */
export const pluginSchedules = (deps: Deps): JobKind<typeof SchedulePayload> => ({
  name: scheduleJob,
  payload: SchedulePayload,
  mostAttempts: 8,
  timeoutMs: 5 * 60_000,
  run: ({ plugin, at }, job) =>
    work(deps, plugin, job, 'schedule', async ({ plugin }, context) => {
      await plugin.schedule?.run({ at: new Date(at), id: job.id }, context)
    }),
})

/** A plugin that was switched off since has nothing to do. What fails is tried again, unless it never may work. */
async function work(
  deps: Deps,
  name: string,
  { tenant_id, signal }: JobContext,
  doing: string,
  run: (enabled: Enabled, context: PluginContext<Record<string, unknown>>) => Promise<void>,
): Promise<void> {
  const enabled = (await enabledPlugins(deps, tenant_id)).find(({ plugin }) => plugin.name === name)
  if (!enabled) return
  try {
    await run(enabled, contextOf(deps, tenant_id, enabled.config, signal))
  } catch (error) {
    noteFailure(deps, tenant_id, enabled, doing, error)
    if (error instanceof EgressError && error.kind === 'refused') throw new HopelessJob(error.message, { cause: error })
    throw error
  }
}
