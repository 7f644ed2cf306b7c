import type { Deps } from '../deps'

/** STUB until the state of plugins is merged. */
export async function recordFailure(_deps: Deps, _tenant_id: string, _name: string, _message: string): Promise<void> {}
