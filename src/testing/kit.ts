import { test as bunTest } from 'bun:test'
import { AsyncLocalStorage } from 'node:async_hooks'
import { type Client, client } from './client'
import { ManualClock } from './clock'
import { ScriptedModel } from './scripted-model'

/** A held transaction that looks like a whole database to everything that runs inside `enter`. */
export type Isolation = { enter<T>(work: () => PromiseLike<T>): Promise<T>; rollback(): Promise<void> }

/** What the kit needs to know of an app to test it. */
export type KitOptions<Seeded, Fixtures extends Record<string, unknown>> = {
  /** Opens an isolated view of the run's seeded database. */
  isolate(): Promise<Isolation>
  app: { handle(request: Request): Promise<Response> }
  /** Resolves when all that the app started is done. */
  settle(): Promise<void>
  /** What every test finds; made once. */
  seeded: Seeded
  /** When every test begins. */
  startsAt: Date
  /** What tests may name in their parameter; each is made when it is first named. */
  fixtures: { [Name in keyof Fixtures]: (world: World<Seeded>) => Fixtures[Name] }
}

/** One test's private world, before the app's own fixtures. */
export type World<Seeded = unknown> = Seeded & {
  /** A client of the app whose requests carry these headers. */
  client(identity: () => Record<string, string> | Promise<Record<string, string>>): Client
  clock: ManualClock
  provider: ScriptedModel
  /** Waits for all that the app started, streams and work after the response included. */
  settle(): Promise<void>
  /** Takes the unexpected errors that the app reported so far; those not taken fail the test. */
  takeErrors(): unknown[]
}

type Running = { clock: ManualClock; provider: ScriptedModel; errors: unknown[] }

/** Bound around a test's body: `enterWith` in a hook would not reach it. */
const running = new AsyncLocalStorage<Running>()

function current(): Running {
  const found = running.getStore()
  if (!found)
    throw new Error(
      'There is no test here: what tests replace (clock, provider, reporter) only works inside a test of the kit.',
    )
  return found
}

/** The outside world of the app under test: hand these in where the real ones would go, once, and each test finds its own behind them. */
export const outside = {
  clock: { now: (): Date => current().clock.now() },
  provider: {
    reply: (request: unknown, options: { stream: boolean; signal: AbortSignal }) =>
      current().provider.reply(request, options),
  },
  /** For errors that nobody foresaw: they fail the test that caused them. */
  unexpected: (error: unknown): void => void current().errors.push(error),
}

/** How long a test's leftovers may take, in ms. */
const settleWithinMs = 5000

type Body<Fixtures> = (fixtures: Fixtures) => unknown
type Options = Parameters<typeof bunTest>[2]

type TestFunction<Fixtures> = {
  (name: string, body: Body<Fixtures>, options?: Options): void
  only: TestFunction<Fixtures>
  skip: TestFunction<Fixtures>
  todo: TestFunction<Fixtures>
  failing: TestFunction<Fixtures>
  concurrent: TestFunction<Fixtures>
  serial: TestFunction<Fixtures>
  if(condition: boolean): TestFunction<Fixtures>
  skipIf(condition: boolean): TestFunction<Fixtures>
  todoIf(condition: boolean): TestFunction<Fixtures>
  /** Rows first, fixtures last: `test.each([[1, 'a']])('name %s', (number, letter, { adminA }) => ...)`. */
  each<Row extends readonly unknown[]>(
    rows: readonly Row[],
  ): (name: string, body: (...args: [...Row, Fixtures]) => unknown, options?: Options) => void
}

/** bun:test's `test`, whose body gets the fixtures it names and runs in a world of its own. */
export function kit<Seeded extends object, Fixtures extends Record<string, unknown>>(
  options: KitOptions<Seeded, Fixtures>,
): TestFunction<World<Seeded> & Fixtures> {
  type All = World<Seeded> & Fixtures

  const inWorld =
    <Args extends unknown[]>(body: (...args: [...Args, All]) => unknown) =>
    async (...args: Args): Promise<void> => {
      const own: Running = { clock: new ManualClock(options.startsAt), provider: new ScriptedModel(), errors: [] }
      const isolation = await options.isolate()
      try {
        await running.run(own, () =>
          isolation.enter(async () => {
            try {
              await body(...args, fixturesOf(own))
            } finally {
              await settled()
            }
          }),
        )
      } finally {
        await isolation.rollback()
      }
      if (own.errors.length > 0)
        throw new AggregateError(
          own.errors,
          `The app had ${own.errors.length} unexpected error(s) that the test did not take: ${own.errors.map(String).join('; ')}`,
        )
    }

  const settled = async () => {
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () =>
        late.reject(new Error(`Something that the test started was still running ${settleWithinMs} ms after its end.`)),
      settleWithinMs,
    )
    try {
      // Elysia schedules what runs after a response with setImmediate, and nobody awaits it.
      await new Promise((resolve) => setImmediate(resolve))
      await Promise.race([options.settle(), late.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Getters, so that a test makes only what its parameter names. */
  const fixturesOf = (own: Running): All => {
    const world: World<Seeded> = {
      ...options.seeded,
      client: (identity) => client((request) => options.app.handle(request), identity),
      clock: own.clock,
      provider: own.provider,
      settle: settled,
      takeErrors: () => own.errors.splice(0),
    }
    const made = new Map<string, unknown>()
    const all: Record<string, unknown> = { ...world }
    for (const [name, make] of Object.entries(options.fixtures)) {
      Object.defineProperty(all, name, {
        enumerable: true,
        get: () => {
          if (!made.has(name)) made.set(name, make(world))
          return made.get(name)
        },
      })
    }
    return all as All
  }

  // bun:test's modifiers all return functions like `test` itself, so one wrapper serves them all. Their types differ
  // by overload only, hence the casts.
  type Base = ((name: string, body: () => unknown, options?: Options) => void) & Record<string, unknown>
  const wrap = (base: Base): TestFunction<All> => {
    const wrapped = (name: string, body: Body<All>, testOptions?: Options) =>
      base(name, body && inWorld<[]>(body), testOptions)
    const modifiers = ['only', 'skip', 'todo', 'failing', 'concurrent', 'serial'] as const
    for (const modifier of modifiers) {
      Object.defineProperty(wrapped, modifier, { get: () => wrap(base[modifier] as Base) })
    }
    for (const choice of ['if', 'skipIf', 'todoIf'] as const) {
      Object.assign(wrapped, {
        [choice]: (condition: boolean) => wrap((base[choice] as (condition: boolean) => Base)(condition)),
      })
    }
    const each =
      (rows: readonly unknown[][]) => (name: string, body: (...args: unknown[]) => unknown, testOptions?: Options) =>
        (base.each as (rows: readonly unknown[][]) => Base)(rows)(name, inWorld<unknown[]>(body), testOptions)
    return Object.assign(wrapped, { each }) as unknown as TestFunction<All>
  }
  return wrap(bunTest as unknown as Base)
}
