import { existsSync, readFileSync } from 'node:fs'
import type { Session } from '../database/session'
import { type Client, client } from './client'
import type { ManualClock } from './clock'
import { type DescribeFunction, declarations, type Group, type TestFunction, type Written } from './declare'
import type { Door } from './door'
import { failureOf } from './failure'
import type { Ledger } from './ledger'
import { type Linter, type LintOptions, lintError, linter, tenantTables } from './lints'
import { OpenStreams } from './open-streams'
import { guardFetch, type OutgoingHttp } from './outgoing-http'
import { Place } from './place'
import { addQueryMatchers } from './queries'
import type { RunDatabase } from './run-database'
import { Running, running } from './running'
import type { Sandbox } from './sandbox'
import type { ScriptedModel } from './scripted-model'
import { type Served, type SocketServer, serve } from './serve'

/** What every test has, whatever the app. */
export type World = {
  /** Speaks with the app as whoever these headers say; made anew for each request. */
  client(identity: () => Record<string, string> | Promise<Record<string, string>>): Client
  clock: ManualClock
  provider: ScriptedModel
  http: OutgoingHttp
  ledger: Ledger
  /** Waits for all that the app started: requests, work after the response, transactions. */
  settle(): Promise<void>
  /** Takes the unexpected errors that the app had so far; those not taken fail the test. */
  takeErrors(): unknown[]
  /** Runs `work` and undoes all that it did to the database, so that the next request starts where this one did. */
  rewind<T>(work: () => Promise<T>): Promise<T>
  /** The same app and database behind a real socket on 127.0.0.1 until the test ends. */
  serve(): Promise<Served>
}

/** What the kit needs to know of an app to test it. */
export type KitOptions<Seeded extends object, Fixtures extends Record<string, unknown>> = {
  run: RunDatabase
  door: Door
  app: { handle(request: Request): Response | Promise<Response> }
  /** Makes the tables in an empty database; with `madeFrom` (see `openRunDatabase`) only when none like it was kept. */
  prepare(session: Session): Promise<void>
  /** Makes the rows that every test finds, once; what it returns is among the fixtures. */
  seed?(): Promise<Seeded>
  /**
   * Resolves when all that the app started is done. Where the test is over, nobody sees any more what only waited to be
   * written: it may be left.
   */
  settle?(moment: { testIsOver: boolean }): Promise<void>
  /** When every test begins; 2026-01-01 unless said otherwise. */
  startsAt?: Date
  /** What tests may name in their parameter; each is made when it is first named. */
  fixtures?: { [Name in keyof Fixtures]: (world: World & Seeded) => Fixtures[Name] }
  /** How long a test may take that does not say so itself, in ms; else what `bun test --timeout` says, or 5000. */
  timeoutMs?: number
  /** How long a test's leftovers may take, in ms; 5000 unless said otherwise. */
  settleWithinMs?: number
  /** How long a statement waits for another one of its test or for a lock of another test, in ms; 4000 unless said otherwise. */
  patienceMs?: number
  /** Statements that tests may run in a savepoint although it cannot show all that they do, such as `for update skip locked`. */
  inSavepoints?: readonly { statement: RegExp; because: string }[]
  /** What is wrong with any app's statements, looked for at the end of each test. */
  lints?: LintOptions
}

export type Kit<All> = {
  test: TestFunction<All>
  describe: DescribeFunction<All>
  /** The same as `closeRun`, for who has the kit at hand. */
  close(): Promise<void>
}

/** What the tests of a kit may name: `type Fixtures = FixturesOf<typeof kit>`, for helpers that take some of it. */
export type FixturesOf<K> = K extends Kit<infer All> ? All : never

/** How the kit of a run is closed. */
const closers = new WeakMap<RunDatabase, () => Promise<void>>()

/**
 * Ends a run, once, when all tests are over: closes the kit, if a test file has made it, and removes the databases. Throws
 * when something came after its test.
 */
export const closeRun = async (run: RunDatabase): Promise<void> => await (closers.get(run) ?? (() => disposed(run)))()

/**
 * With --rerun-each, bun says that all is over after the first of the last file's runs. Whoever watches over the run removes
 * its database when the process ends.
 */
const disposed = async (run: RunDatabase): Promise<void> => {
  if (!isRerun()) await run[Symbol.asyncDispose]()
}

/** How long rows for many tests may take to be made. */
const seedWithinMs = 20_000

export async function createKit<
  Seeded extends object = object,
  Fixtures extends Record<string, unknown> = Record<never, never>,
>(options: KitOptions<Seeded, Fixtures>): Promise<Kit<World & Seeded & Fixtures>> {
  type All = World & Seeded & Fixtures
  const { run, door, app, settleWithinMs = 5000, patienceMs = 4000, timeoutMs = timeoutOfRun() } = options
  const startsAt = options.startsAt ?? new Date('2026-01-01T00:00:00.000Z')
  const lateErrors: Error[] = []
  const tolerated = (options.inSavepoints ?? []).map(({ statement }) => statement)
  guardFetch()
  addQueryMatchers()
  showServer(app)

  const asTest = <T>(own: Running, work: () => Promise<T>): Promise<T> => running.run(own, work)

  const handle = async (request: Request): Promise<Response> => {
    const own = running.get()
    const { ledger, errors } = own
    const { pathname, search } = new URL(request.url)
    await own.rewinds.passed()
    const before = errors.length
    const response = await ledger.request(request.method, pathname + search, async () => await app.handle(request))
    // Where the app has no reporter of its own to tell us, its answer does.
    if (response?.status === 500 && errors.length === before)
      errors.push(new Error(`${request.method} ${pathname} answered 500`))
    return response
  }

  /** Set when work of a test never ended: those after it do not wait for that again, nor are they blamed. */
  let stuck = false
  const appSettled = async (testIsOver: boolean): Promise<void> => {
    const done = options.settle?.({ testIsOver })
    await (stuck ? Promise.race([done, Bun.sleep(50)]) : done)
  }

  /** Waits for all that goes on. What it does may start more of it. */
  const settled = async (own: Running, sandbox: Sandbox | undefined, testIsOver = false): Promise<void> => {
    const { ledger, background } = own
    do {
      // Elysia schedules what runs after a response with setImmediate, and nobody awaits it.
      await new Promise((resolve) => setImmediate(resolve))
      await ledger.answered()
      await appSettled(testIsOver)
      await Promise.all(background)
      await sandbox?.idle()
      // Who waited for the last statement may have the next one to ask.
      await new Promise((resolve) => setImmediate(resolve))
    } while (ledger.pending.length > 0 || background.size > 0 || sandbox?.busy)
  }

  /** `over` where the test is, with the streams that it left unread. */
  const settle = (own: Running, sandbox: Sandbox | undefined, over?: { unread: readonly string[] }): Promise<void> =>
    within(settleWithinMs, settled(own, sandbox, over !== undefined), () => {
      const left = own.ledger.pending.map(({ method, path }) => `${method} ${path} has no answer`)
      left.push(
        ...(over?.unread ?? []).map((request) => `the stream of ${request} does not end though its reader left`),
      )
      if (left.length === 0 && own.background.size > 0) left.push('what outside.background() was given')
      left.push(...(sandbox?.unanswered ?? []))
      if (left.length === 0 && sandbox?.busy) left.push('a transaction')
      if (left.length === 0) left.push('work that the settle() of the app waits for')
      stuck = true
      return new Error(
        `Something that the test started was still running after ${settleWithinMs} ms: ${left.join(', ')}. End it in the test: await it, release what hangs, abort the request.`,
      )
    })

  /** What a test is given. Getters, so that it makes only what its parameter names. */
  const fixturesOf = (own: Running, seeded: object, sandbox?: Sandbox, streams?: OpenStreams): All => {
    const world: World = {
      client: (identity) => client(handle, identity, streams),
      clock: own.clock,
      provider: own.provider,
      http: own.http,
      ledger: own.ledger,
      settle: () => settle(own, sandbox),
      takeErrors: () => own.errors.splice(0),
      rewind: (work) => own.rewind(work),
      serve: () => own.serve(),
    }
    const base = { ...world, ...seeded } as World & Seeded
    const made = new Map<string, unknown>()
    const all: Record<string, unknown> = { ...base }
    for (const [name, make] of Object.entries(options.fixtures ?? {})) {
      Object.defineProperty(all, name, {
        enumerable: true,
        get: () => {
          if (!made.has(name)) made.set(name, make(base))
          return made.get(name)
        },
      })
    }
    return all as All
  }

  /** Rows that many tests start from, made as by a test. `what` names it when it fails. */
  const seeding = <T>(what: () => string, work: (own: Running) => Promise<T>): Promise<T> => {
    const own = new Running({ name: what(), place: '' }, startsAt)
    const late = () => new Error(`It took longer than ${seedWithinMs} ms.`)
    return asTest(own, () => within(seedWithinMs, work(own), late)).catch((thrown: unknown) => {
      const error = failureOf([thrown], own.errors, own.ledger, undefined) ?? new Error(what())
      error.message = `${what()} failed, and with it each test that starts from it: ${error.message}`
      throw error
    })
  }

  /** What a seed returned; a name of a fixture's would never be seen, and one of the kit's would hide what fixtures need. */
  const newNames = <T extends object>(returned: T, seeded: object, all: object): T => {
    const taken = Object.keys(returned).find((name) => Object.hasOwn(all, name) && !Object.hasOwn(seeded, name))
    if (taken === undefined) return returned
    throw new Error(`It returned "${taken}", which every test has already: call it something else.`)
  }

  let lint: Linter = () => []
  let stage = 'The making of the database of the run'
  const makeRoot = (own: Running) =>
    Place.root(
      run,
      door,
      async (session) => {
        await Promise.resolve(options.prepare(session)).catch((thrown) => {
          throw new Error(`prepare(), which makes the tables, failed: ${thrown?.message ?? thrown}`, { cause: thrown })
        })
      },
      async (session) => {
        const { lints } = options
        if (lints) lint = linter(lints, await tenantTables(session, run.dialect, lints))
        stage = 'The seed of the run'
        return newNames((await options.seed?.()) ?? {}, {}, fixturesOf(own, {}))
      },
    )
  const root = await seeding(() => stage, makeRoot).catch(async (error) => {
    closers.set(run, async () => {})
    await run[Symbol.asyncDispose]()
    throw error
  })

  const runTest = async ({ identity, group, isolation: level, timeout, body }: Written<All>): Promise<void> => {
    const own = new Running(identity, startsAt)
    const place = await group.place()
    let failed = false
    const onLate = (error: Error) => {
      if (!failed) lateErrors.push(error)
    }
    const isolation = await place.isolate(level, identity, own.ledger, { onLate, patienceMs, tolerated })
    const { sandbox } = isolation
    const streams = new OpenStreams()
    const enter = <T>(work: () => Promise<T>): Promise<T> => asTest(own, () => place.enter(sandbox, work))
    own.settle = () => settle(own, sandbox)
    own.rewind = (work) =>
      own.rewinds.run({
        before: own.settle,
        work: () => sandbox.rewound((inner) => place.enter(inner, () => work().finally(() => settle(own, inner)))),
      })
    own.serve = async () => {
      const served = serve(handle, enter)
      own.server = served.server
      own.closers.push(served.stop)
      return served
    }

    const failures: unknown[] = []
    /** Whether it came to its end, well or not, within its limit. */
    const attempt = async (limitMs: number, work: () => unknown): Promise<boolean> => {
      try {
        await within(limitMs, Promise.resolve(work()), () => new TimeOut(limitMs, own.ledger, streams, sandbox))
        return true
      } catch (error) {
        failures.push(error)
        return !(error instanceof TimeOut)
      }
    }

    await enter(async () => {
      const all = fixturesOf(own, isolation.seeded, sandbox, streams)
      const ended = await attempt(timeout ?? timeoutMs, async () => {
        for (const before of group.before) await before(all)
        await body(all)
      })
      for (const after of ended ? group.after : []) await attempt(timeout ?? timeoutMs, () => after(all))
      for (const close of own.closers) await close()
      if (!ended) return
      const unread = streams.unread
      const cancelled = streams.cancel()
      try {
        await settle(own, sandbox, { unread })
        await cancelled
      } catch (error) {
        failures.push(error)
      }
    })
    if (failures.length === 0 && own.errors.length === 0) {
      const found = lintError(lint(own.ledger))
      if (found) failures.push(found)
    }
    failed = failures.length > 0 || own.errors.length > 0
    sandbox.close()
    let kept: string | undefined
    try {
      const keep = failed && isolation.level === 'fork'
      kept = await within(
        settleWithinMs,
        isolation.end({ keep }),
        () => new Error("The test's database did not close."),
      )
    } catch (error) {
      failures.push(error)
    }
    const failure = failureOf(failures, own.errors, own.ledger, kept)
    if (failure) throw failure
  }

  const rootGroup: Group<All> = {
    parent: undefined,
    place: async () => root,
    isolation: 'savepoint',
    order: undefined,
    before: [],
    after: [],
  }
  const { test, describe } = declarations<All>({
    root: rootGroup,
    runTest,
    seeded: async (parent: Group<All>, seed: (all: All) => Promise<object | undefined>, name: string) => {
      const place = await parent.place()
      const what = () => `The seed of "${name}"`
      return await seeding(what, (own) =>
        place.group(async (seeded) => {
          // A fork of the group is seeded again, inside the test that wants it.
          return await asTest(own, async () => {
            const all = fixturesOf(own, seeded)
            const rows = (await seed(all)) ?? {}
            await settled(own, undefined)
            return newNames(rows, seeded, all)
          })
        }),
      )
    },
    // Only for what the kit cannot end itself: a loop that never yields, or a seed that hangs.
    backstopMs: (timeout = timeoutMs) => (timeout === 0 ? 0 : timeout + settleWithinMs * 2 + seedWithinMs * 2),
  })

  const close = async (): Promise<void> => {
    if (!isRerun()) await root.close()
    await disposed(run)
    const late = lateErrors.splice(0).map(({ message }) => `  ${message}`)
    if (late.length > 0) {
      throw new Error(
        `After tests that passed, something that they started came too late, ${late.length === 1 ? 'once' : `${late.length} times`}:\n${late.join('\n')}`,
      )
    }
  }
  closers.set(run, close)
  return { test, describe, close }
}

class TimeOut extends Error {
  constructor(ms: number, { pending }: Ledger, { unread }: OpenStreams, { unanswered }: Sandbox) {
    const open = [
      ...pending.map(({ method, path }) => `${method} ${path} has no answer`),
      ...unread.map((request) => `the stream of ${request} has not ended`),
      ...unanswered,
    ]
    super(
      `The test ran longer than ${ms} ms and was ended${open.length > 0 ? `, when ${open.join(', and ')}` : ''}. What it asks the database from now on is refused.`,
    )
  }
}

/** Rejects with `late` when `work` takes longer than `ms`; 0 waits for ever. */
async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  if (ms === 0) return await work
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), ms)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** bun tells its tests nothing of its options, so they are read where the system keeps the command, if it does. */
const command = existsSync('/proc/self/cmdline') ? readFileSync('/proc/self/cmdline', 'utf8') : ''
const timeoutOfRun = (): number => Number(/\0--timeout[=\0](\d+)\0/.exec(command)?.[1] ?? 5000)
const isRerun = (): boolean => command.includes('\0--rerun-each')

/** Elysia upgrades a request to a WebSocket with the server that it listens on; here that is the running test's. */
function showServer(app: object): void {
  if (!('server' in app)) return
  let own: unknown = app.server
  Object.defineProperty(app, 'server', {
    configurable: true,
    get: (): SocketServer | unknown => running.find()?.server ?? own,
    set: (server: unknown) => {
      own = server
    },
  })
}
