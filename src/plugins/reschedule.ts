import type { JobDeps } from '../jobs/job'
import { removeSchedule, setSchedule } from '../jobs/schedules'
import type { Config } from './config'
import type { Plugin } from './plugin'

/** The kind of job that does a plugin's recurring work. */
export const scheduleJob = 'plugin.schedule'

/** Has a plugin's recurring work done as the tenant configured it, or not at all where `config` is undefined. In the caller's transaction. */
export async function reschedule(
  deps: JobDeps,
  tenant_id: string,
  plugin: Plugin,
  config: Config | undefined,
): Promise<void> {
  if (!plugin.schedule) return
  const name = `plugin.${plugin.name}`
  const cron = config && plugin.schedule.cron(config)
  if (cron === undefined) await removeSchedule(deps, tenant_id, name)
  else await setSchedule(deps, tenant_id, { name, kind: scheduleJob, payload: { plugin: plugin.name }, cron })
}
