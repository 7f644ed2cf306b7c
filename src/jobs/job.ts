import type { Static, TObject } from '@sinclair/typebox'
import type { Database } from '../database/database'
import type { Clock } from '../ids'

/** Whose work it is, and how far it is. A job never runs without its tenant. */
export type JobContext = {
  readonly tenant_id: string
  readonly id: string
  /** 1 for the first. */
  readonly attempt: number
  /** Aborted when the job has run out of time, has lost its lease, or the process ends. */
  readonly signal: AbortSignal
}

/** A kind of work: what it takes, and how it is done. It may be done more than once, so its effects carry the job's id. */
export type JobKind<Payload extends TObject = TObject> = {
  readonly name: string
  readonly payload: Payload
  /** After this many it is dead, until somebody retries it. */
  readonly mostAttempts: number
  readonly timeoutMs: number
  run(payload: Static<Payload>, context: JobContext): Promise<void>
}

/** What may be done again later is thrown as any error; this says that trying again is no use. */
export class HopelessJob extends Error {
  override readonly name = 'HopelessJob'
}

/** Says when trying again makes sense, where the other side told: at least this long from now, and at most a day. */
export class RetryAfter extends Error {
  override readonly name = 'RetryAfter'

  constructor(
    message: string,
    readonly seconds: number,
  ) {
    super(message)
  }
}

export type NewJob = {
  kind: string
  /** Ids and names, never a secret: it is stored as it is. */
  payload: Record<string, unknown>
  /** At most one job of this kind with this key; a second is not queued. */
  uniqueKey?: string
  /** Now, if not given. */
  dueAt?: Date
}

/** Tells those who work on jobs in this process that there is one. */
export class JobBell {
  #listener: (() => void) | undefined

  onRing(listener: () => void): void {
    this.#listener = listener
  }

  ring(): void {
    this.#listener?.()
  }
}

export type JobDeps = { readonly database: Database; readonly clock: Clock; readonly jobBell: JobBell }
