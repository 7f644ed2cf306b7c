import type { Database } from '../database/database'
import { isOutage } from '../database/outage'
import { asTenant } from '../database/reach'
import { describe, type Reporter } from '../reporter'
import type { Observation } from './hook'
import { type RequestRecord, storeRecords } from './rollup'
import { WaitingRecords } from './waiting'

export const recorderLimits = {
  /** How long a record waits for others, in ms: a crash loses at most these. 0 waits for `flush`. */
  everyMs: 1000,
  /** In one transaction. */
  batch: 500,
  /** Waiting, of all tenants; what comes when there are so many is dropped, and counted. */
  most: 20_000,
  /** How often the database may refuse a batch before it is dropped. An outage is no refusal: it is waited for. */
  refusals: 5,
}

type Batch = { tenant_id: string; records: RequestRecord[]; wasTried: boolean; refusals: number }

/**
 * Keeps what the hook sees until it is worth a transaction. Recording costs a request nothing but memory, and little of
 * that: a database that is slow or away costs records, never requests.
 */
export class Recorder {
  #waiting = new Map<string, WaitingRecords>()
  #refused: Batch[] = []
  #size = 0
  #dropped = 0
  #failing = false
  #dropping = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(
    private readonly database: Database,
    private readonly reporter: Reporter,
    private readonly limits = recorderLimits,
  ) {}

  /** Records that are lost, since the process began: there was no room, or the database refused them too often. */
  get dropped(): number {
    return this.#dropped
  }

  /** Records that are not written yet. */
  get waiting(): number {
    return this.#size
  }

  /** Requests of nobody in particular belong to no tenant and are not kept. */
  readonly record = (seen: Observation): void => {
    if (!seen.caller) return
    if (this.#size >= this.limits.most) {
      this.#drop(1, 'they came faster than they could be written')
      return
    }
    const { tenant_id } = seen.caller
    const waiting = this.#waiting.get(tenant_id) ?? new WaitingRecords()
    if (waiting.size === 0) this.#waiting.set(tenant_id, waiting)
    waiting.add(seen.caller, seen)
    this.#size++
    if (waiting.size >= this.limits.batch && this.limits.everyMs > 0) void this.flush()
    else this.#wait()
  }

  /** Resolves when all that was recorded before is written, dropped, or refused and kept for the next time. Never rejects. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  #wait(): void {
    if (this.#timer !== undefined || this.limits.everyMs === 0) return
    this.#timer = setTimeout(() => void this.flush(), this.limits.everyMs)
    this.#timer.unref()
  }

  async #write(): Promise<void> {
    const [refused, waiting] = [this.#refused, this.#waiting]
    this.#refused = []
    this.#waiting = new Map()
    for (const batch of refused) await this.#store(batch)
    for (const [tenant_id, those] of waiting)
      for (const records of those.batches(tenant_id, this.limits.batch))
        await this.#store({ tenant_id, records, wasTried: false, refusals: 0 })
    if (this.#refused.length > 0) this.#wait()
    else this.#failing = this.#dropping = false
  }

  async #store(batch: Batch): Promise<void> {
    const { tenant_id, records, wasTried } = batch
    try {
      await asTenant(tenant_id, () => storeRecords(this.database, tenant_id, records, { mayBeThere: wasTried }))
    } catch (error) {
      const refusals = batch.refusals + (isOutage(error) ? 0 : 1)
      if (refusals < this.limits.refusals) {
        if (!this.#failing)
          this.reporter.warn(`Request records could not be written, and are tried again: ${describe(error)}`)
        this.#failing = true
        this.#refused.push({ ...batch, wasTried: true, refusals })
        return
      }
      this.#drop(records.length, 'the database refused them')
    }
    this.#size -= records.length
  }

  /** Said once for as long as it goes on. */
  #drop(records: number, because: string): void {
    if (!this.#dropping) this.reporter.warn(`Request records are lost: ${because}.`)
    this.#dropping = true
    this.#dropped += records
  }
}
