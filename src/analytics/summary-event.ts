import { Type } from '@sinclair/typebox'
import { dayAfter, dayOf } from '../day'
import type { Deps } from '../deps'
import type { JobKind } from '../jobs/job'
import { announce } from '../plugins/publish'
import { shape } from '../schema'
import { daySummary } from './usage'

const Due = shape({ at: Type.String() })

/** Tells plugins of the day that has ended. To be scheduled soon after midnight, UTC. */
export const daySummaryJob = (deps: Deps): JobKind<typeof Due> => ({
  name: 'analytics.summary',
  payload: Due,
  mostAttempts: 5,
  timeoutMs: 60_000,
  async run({ at }, { tenant_id }) {
    const day = dayAfter(dayOf(new Date(at)), -1)
    await deps.database.transaction(async () => {
      await announce(deps, tenant_id, 'daily_summary.ready', await daySummary(deps, tenant_id, day))
    })
  },
})
