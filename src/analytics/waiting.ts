import { within } from '../found'
import { newId } from '../ids'
import type { Observation } from './hook'
import type { RequestRecord } from './rollup'

type Kind = Pick<RequestRecord, 'user_id' | 'route' | 'method'>

/**
 * What one tenant's requests were, until there are enough of them to write. Kept as columns of numbers: a record that
 * waits as an object outlives the young generation, and costs the garbage collector more than the recording.
 */
export class WaitingRecords {
  readonly #kind: number[] = []
  readonly #status: number[] = []
  readonly #duration_us: number[] = []
  /** ms since 1970. */
  readonly #at: number[] = []
  readonly #kinds: Kind[] = []
  /** The place of a kind in `#kinds`, by user, route and method. A key joined of the three would cost more than all of this. */
  readonly #places = new Map<string, Map<string, Map<string, number>>>()

  get size(): number {
    return this.#kind.length
  }

  add({ user_id }: { user_id: string }, { route, method, status, duration_us, at }: Observation): void {
    this.#kind.push(this.#placeOf(user_id, route, method))
    this.#status.push(status)
    this.#duration_us.push(duration_us)
    this.#at.push(at.getTime())
  }

  /** In the order in which they were added, in groups of at most `most`, each made when it is asked for. Their ids sort as they do. */
  *batches(tenant_id: string, most: number): Generator<RequestRecord[]> {
    for (let begin = 0; begin < this.size; begin += most) {
      const batch: RequestRecord[] = []
      for (let n = begin; n < Math.min(begin + most, this.size); n++) batch.push(this.#record(tenant_id, n))
      yield batch
    }
  }

  #record(tenant_id: string, n: number): RequestRecord {
    const { user_id, route, method } = this.#kinds[this.#kind[n] as number] as Kind
    const created_at = new Date(this.#at[n] as number)
    return {
      tenant_id,
      id: newId({ now: () => created_at }),
      user_id,
      method,
      route,
      status: this.#status[n] as number,
      duration_us: this.#duration_us[n] as number,
      created_at,
    }
  }

  #placeOf(user_id: string, route: string, method: string): number {
    const ofRoute = within(within(this.#places, user_id), route)
    const known = ofRoute.get(method)
    if (known !== undefined) return known
    ofRoute.set(method, this.#kinds.length)
    return this.#kinds.push({ user_id, route, method }) - 1
  }
}
