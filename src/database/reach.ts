import { AsyncLocalStorage } from 'node:async_hooks'
import { isId } from '../ids'

/** A tenant's id, `all`, or empty as long as nobody has said: then, on Postgres, there are no rows. */
export type Reach = string

type Asking = { reach: Reach }
const ambient = new AsyncLocalStorage<Asking>()

/** Whose rows the running code may see and write; on Postgres row level security holds it to that. */
export const currentReach = (): Reach => ambient.getStore()?.reach ?? ''

/** Runs `work` with the rows of one tenant, and no others. Awaits inside, because a Drizzle query only starts when awaited. */
export const asTenant = <T>(tenant_id: string, work: () => PromiseLike<T>): Promise<T> =>
  ambient.run({ reach: tenant(tenant_id) }, async () => await work())

/** Runs `work` with the rows of every tenant: for what belongs to none of them. `because` is for who reads the code. */
export const acrossTenants = <T>(because: string, work: () => PromiseLike<T>): Promise<T> => {
  if (because === '') throw new Error('Reaching across tenants needs a reason.')
  return ambient.run({ reach: 'all' }, async () => await work())
}

/** Runs a request, of which nobody knows yet whose it is. */
export const asNobody = <T>(work: () => T): T => ambient.run({ reach: '' }, work)

/** Says whose the running request is. Once said, it stays: what runs on after the response is that tenant's too. */
export function admitTenant(tenant_id: string): void {
  const asking = ambient.getStore()
  if (!asking) throw new Error('A tenant is admitted to a request, and none is running.')
  if (asking.reach !== '' && asking.reach !== tenant_id) throw new Error('The request is of another tenant already.')
  asking.reach = tenant(tenant_id)
}

/** It becomes part of a statement, and `all` is no tenant. */
function tenant(tenant_id: string): string {
  if (!isId(tenant_id)) throw new Error('A tenant is named by its id.')
  return tenant_id
}
