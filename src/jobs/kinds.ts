import type { Deps } from '../deps'
import { pluginEvents, pluginSchedules } from '../plugins/jobs'
import type { JobKind } from './job'
import { pruning } from './pruning'
import type { TenantSchedule } from './schedules'

/** Every kind of work that this program knows how to do. */
export function jobKinds(deps: Deps): readonly JobKind[] {
  const kinds: JobKind[] = [pluginEvents(deps), pluginSchedules(deps)]
  return [...kinds, pruning(deps, ['jobs.prune', ...kinds.map(({ name }) => name)])]
}

/** What each active tenant has done for it again and again. */
export const everyTenant: readonly TenantSchedule[] = [{ name: 'jobs.prune', kind: 'jobs.prune', cron: '17 3 * * *' }]
