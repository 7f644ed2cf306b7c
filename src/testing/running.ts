import { AsyncLocalStorage } from 'node:async_hooks'
import { ManualClock } from './clock'
import { asNobodysRequest, Ledger } from './ledger'
import { OutgoingHttp } from './outgoing-http'
import { Rewinds } from './rewinds'
import type { TestIdentity } from './sandbox'
import { ScriptedModel } from './scripted-model'
import type { Served, SocketServer } from './serve'

/** All that one running test has of its own, beside its database. */
export class Running {
  readonly clock: ManualClock
  /** Unexpected errors of the app that the test has not taken yet. */
  readonly errors: unknown[] = []
  readonly provider = new ScriptedModel((error) => this.errors.push(error))
  readonly http = new OutgoingHttp((error) => this.errors.push(error))
  readonly ledger = new Ledger()
  /** Where the test serves the app; Elysia asks it for WebSockets. */
  server: SocketServer | undefined
  /** See `World.rewind`; there once the test has its database. */
  rewind: <T>(work: () => Promise<T>) => Promise<T> = () => {
    throw new Error('There is nothing to rewind before the test has its database.')
  }

  readonly rewinds = new Rewinds()

  /** See `World.settle`; there once the test has its database. */
  settle: () => Promise<void> = () => Promise.resolve()
  /** What `outside.background` started and is not over. */
  readonly background = new Set<Promise<void>>()

  /** See `World.serve`; there once the test has its database. */
  serve: () => Promise<Served> = () => Promise.reject(new Error('Rows for many tests are made without a socket.'))
  /** What is closed when the test's body is over. */
  readonly closers: (() => Promise<void>)[] = []

  constructor(
    readonly test: TestIdentity,
    startsAt: Date,
  ) {
    this.clock = new ManualClock(startsAt)
  }
}

/** Bound around a test's body: bun's hooks have no way to reach it (`enterWith` in them does not). */
const ambient = new AsyncLocalStorage<Running>()

export const running = {
  run: <T>(own: Running, work: () => Promise<T>): Promise<T> => ambient.run(own, work),
  find: (): Running | undefined => ambient.getStore(),
  get(): Running {
    const found = ambient.getStore()
    if (!found) {
      throw new Error(
        'There is no test here: the clock, the provider and the reporter of the kit work inside its tests only.',
      )
    }
    return found
  },
}

/** The outside world of the app under test. Hand these in where the real ones would go, once: each test finds its own behind them. */
export const outside = {
  clock: { now: (): Date => running.get().clock.now() },
  provider: {
    reply: (request: unknown, options: { stream: boolean; signal: AbortSignal }) =>
      running.get().provider.reply(request, options),
  },
  /** For errors that nobody foresaw: they fail the test that caused them, even if it does not look. */
  unexpected: (error: unknown): void => void running.get().errors.push(error),
  /** Around what a request only sets off, such as a worker of jobs: its statements are not counted or linted as the request's. `settle()` waits for what it returns. */
  background<T>(work: () => T): T {
    const result = asNobodysRequest(work)
    const background = running.find()?.background
    const over: Promise<void> = Promise.resolve(result).then(
      () => void background?.delete(over),
      () => void background?.delete(over), // whoever started it hears of it
    )
    background?.add(over)
    return result
  },
}
