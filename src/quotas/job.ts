import { Type } from '@sinclair/typebox'
import type { Deps } from '../deps'
import type { JobKind } from '../jobs/job'
import { shape } from '../schema'
import { reconcileQuotas } from './reconcile'

const Due = shape({ at: Type.String() })

/** For tenants that do not chat again after a crash: else the next chat makes it good. */
export const reconcileJob = (deps: Deps): JobKind<typeof Due> => ({
  name: 'quotas.reconcile',
  payload: Due,
  mostAttempts: 3,
  timeoutMs: 60_000,
  run: async (_, { tenant_id }) => void (await reconcileQuotas(deps, tenant_id)),
})
