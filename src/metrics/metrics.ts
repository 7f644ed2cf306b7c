import type { Observation } from '../analytics/hook'
import type { DatabaseLoad } from '../database/database'
import type { JobEnd } from '../jobs/attempt'
import type { ProviderAttempt } from '../providers/ask'
import type { Delays } from './event-loop'
import type { Instruments } from './instruments'
import type { Backlog } from './queue'

/** What is looked up when somebody asks. */
export type Sources = {
  readonly version: string
  readonly backlog: () => Promise<Backlog>
  readonly databaseLoad: () => DatabaseLoad
  /** Request records that were lost. */
  readonly dropped: () => number
  /** Undefined where nobody measures it. */
  readonly delays: () => Delays | undefined
}

/** How much is kept before prom-client is loaded for it. */
const mostKept = 1000

/**
 * What Prometheus is told of this process. No label ever says which tenant, user, model or path: what callers choose
 * would make series without end, and is not for whoever reads these.
 */
export class Metrics {
  #instruments: Instruments | undefined
  #opening: Promise<Instruments> | undefined
  #kept: ((to: Instruments) => void)[] = []

  constructor(private readonly sources: Sources) {}

  /** To be heard by the request hook: an `Observer`. */
  readonly request = (seen: Observation): void => this.#tell((to) => to.request(seen))
  readonly providerAttempt = (attempt: ProviderAttempt): void => this.#tell((to) => to.providerAttempt(attempt))
  readonly jobAttempt = (kind: string, end: JobEnd): void => this.#tell((to) => to.jobAttempt(kind, end))

  /** In Prometheus' text format 0.0.4. */
  async text(): Promise<string> {
    return await (await this.#open()).text()
  }

  #tell(event: (to: Instruments) => void): void {
    if (this.#instruments) {
      event(this.#instruments)
      return
    }
    this.#kept.push(event)
    if (this.#kept.length === mostKept) void this.#open()
  }

  /** Not before it is needed: prom-client would make every start longer, and 15 MB larger where nobody asks. */
  #open(): Promise<Instruments> {
    this.#opening ??= import('./instruments').then(({ openInstruments }) => {
      const instruments = openInstruments(this.sources)
      for (const event of this.#kept) event(instruments)
      this.#kept = []
      this.#instruments = instruments
      return instruments
    })
    return this.#opening
  }
}
