import { newId } from '../ids'
import type { Observation } from './hook'
import type { RequestRecord } from './rollup'

type Kind = { user_id: string; method: string; route: string }

/** How many numbers a record takes: what kind it is of, its status, its duration in µs and when it began, in ms. */
const width = 4

/**
 * What one tenant's requests were, until there are enough of them to write. Kept as numbers: a record that waits as an
 * object costs the garbage collector more than the recording, because it outlives the young.
 */
export class WaitingRecords {
  readonly #kinds = new Map<string, number>()
  readonly #kindOf: Kind[] = []
  readonly #numbers: number[] = []

  get size(): number {
    return this.#numbers.length / width
  }

  add(user_id: string, { method, route, status, duration_us, at }: Observation): void {
    this.#numbers.push(this.#kind({ user_id, method, route }), status, duration_us, at.getTime())
  }

  /** In the order in which they were added, in groups of at most `most`. Their ids sort as they do. */
  batches(tenant_id: string, most: number): RequestRecord[][] {
    return Array.from({ length: Math.ceil(this.size / most) }, (_, n) => {
      const numbers = this.#numbers.slice(n * most * width, (n + 1) * most * width)
      return Array.from({ length: numbers.length / width }, (_, at) => this.#record(tenant_id, numbers, at * width))
    })
  }

  #record(tenant_id: string, numbers: readonly number[], first: number): RequestRecord {
    const [kind = 0, status = 0, duration_us = 0, at = 0] = numbers.slice(first, first + width)
    const created_at = new Date(at)
    const id = newId({ now: () => created_at })
    return { tenant_id, id, ...(this.#kindOf[kind] as Kind), status, duration_us, created_at }
  }

  #kind(kind: Kind): number {
    const key = `${kind.user_id} ${kind.method} ${kind.route}`
    const known = this.#kinds.get(key)
    if (known !== undefined) return known
    this.#kinds.set(key, this.#kindOf.length)
    return this.#kindOf.push(kind) - 1
  }
}
