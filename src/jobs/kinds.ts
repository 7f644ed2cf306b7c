import { pruneRequestsJob } from '../analytics/retention'
import { daySummaryJob } from '../analytics/summary-event'
import type { Deps } from '../deps'
import { pluginEvents, pluginSchedules } from '../plugins/jobs'
import { reconcileJob } from '../quotas/job'
import type { JobKind } from './job'
import { pruning } from './pruning'
import type { TenantSchedule } from './schedules'

/** Every kind of work that this program knows how to do. */
export function jobKinds(deps: Deps): readonly JobKind[] {
  const kinds = [
    pluginEvents(deps),
    pluginSchedules(deps),
    daySummaryJob(deps),
    pruneRequestsJob(deps),
    reconcileJob(deps),
  ]
  return [...kinds, pruning(deps, ['jobs.prune', ...kinds.map(({ name }) => name)])]
}

/** What each active tenant has done for it again and again; times are in UTC. */
export const everyTenant: readonly TenantSchedule[] = [
  { name: 'analytics.summary', kind: 'analytics.summary', cron: '5 0 * * *' },
  { name: 'jobs.prune', kind: 'jobs.prune', cron: '17 3 * * *' },
  { name: 'quotas.reconcile', kind: 'quotas.reconcile', cron: '47 * * * *' },
  { name: 'analytics.prune', kind: 'analytics.prune', cron: '37 3 * * *' },
]
