import { afterAll, describe as bunDescribe, test as bunTest } from 'bun:test'
import type { Place } from './place'
import type { IsolationLevel, TestIdentity } from './sandbox'

export type TestOptions = {
  /** In ms; 0 for none. */
  timeout?: number
  retry?: number
  repeats?: number
  isolation?: IsolationLevel
}
export type Body<All> = (fixtures: All) => unknown
type Given = TestOptions | number

export type TestFunction<All> = {
  (name: string, body: Body<All>, options?: Given): void
  (name: string, options: Given, body: Body<All>): void
  only: TestFunction<All>
  skip: TestFunction<All>
  /** Runs nothing, so it may have no body yet. */
  todo: TestFunction<All> & ((name: string) => void)
  failing: TestFunction<All>
  concurrent: TestFunction<All>
  serial: TestFunction<All>
  if(condition: boolean): TestFunction<All>
  skipIf(condition: boolean): TestFunction<All>
  todoIf(condition: boolean): TestFunction<All>
  /** The row first, the fixtures last: `test.each([[1, 'a']])('name %s', (number, letter, { alice }) => ...)`. */
  each<const Row extends readonly unknown[]>(rows: readonly Row[]): EachFunction<[...Row, All]>
  each<const Row>(rows: readonly Row[]): EachFunction<[Row, All]>
}

type EachFunction<Args extends unknown[]> = {
  (name: string, body: (...args: Args) => unknown, options?: Given): void
  (name: string, options: Given, body: (...args: Args) => unknown): void
}

export type GroupOptions<All, Own extends object> = {
  /** Rows made once for the group. Every test of the group starts from them; none can change them for the next. */
  seed?: (fixtures: All) => Promise<Own | undefined>
  /** In each test's own world, before its body; those of the groups around come first. */
  beforeEach?: Body<All & Own>
  /** In each test's own world, after its body, whatever that did; those of the groups around come last. */
  afterEach?: Body<All & Own>
  isolation?: IsolationLevel
}
/** Both know what the groups around have made; those of the kit do at run time, and not in their types. */
type GroupBody<All> = (test: TestFunction<All>, describe: DescribeFunction<All>) => void

export type DescribeFunction<All> = {
  (name: string, body: GroupBody<All>): void
  <Own extends object>(name: string, options: GroupOptions<All, Own>, body: GroupBody<All & Own>): void
  only: DescribeFunction<All>
  skip: DescribeFunction<All>
  todo: DescribeFunction<All> & ((name: string) => void)
  concurrent: DescribeFunction<All>
  serial: DescribeFunction<All>
  if(condition: boolean): DescribeFunction<All>
  skipIf(condition: boolean): DescribeFunction<All>
  todoIf(condition: boolean): DescribeFunction<All>
  each<const Row extends readonly unknown[]>(rows: readonly Row[]): EachGroup<All, [...Row]>
  each<const Row>(rows: readonly Row[]): EachGroup<All, [Row]>
}

type EachGroup<All, Args extends unknown[]> = {
  (name: string, body: (...row: Args) => void): void
  <Own extends object>(name: string, options: GroupOptions<All, Own>, body: (...row: Args) => void): void
}

/** A group of tests: where its database comes from, made when its first test runs, and what is done around each test. */
export type Group<All> = {
  parent: Group<All> | undefined
  place(): Promise<Place>
  order: Order
  isolation: IsolationLevel
  before: readonly Body<All>[]
  after: readonly Body<All>[]
}

/** Said by describe.serial or describe.concurrent, for tests that do not say it themselves. */
type Order = 'serial' | 'concurrent' | undefined

/** One test as it was written. */
export type Written<All> = {
  identity: TestIdentity
  group: Group<All>
  isolation: IsolationLevel
  timeout: number | undefined
  body: Body<All>
}

type Runner<All> = {
  root: Group<All>
  runTest(test: Written<All>): Promise<void>
  /** The place of a group with a seed of its own, beside its parent's. */
  seeded(parent: Group<All>, seed: (fixtures: All) => Promise<object | undefined>, name: string): Promise<Place>
  /** When bun ends a test that the kit could not end, in ms; 0 for never. */
  backstopMs(timeout: number | undefined): number
}

// bun's modifiers are functions like the one they modify; their types differ by overload only, hence the casts here.
type Base = ((name: string, body?: (...args: never[]) => unknown, options?: object) => void) & Record<string, unknown>
type Each = (rows: readonly unknown[]) => Base
const base = { test: bunTest as unknown as Base, describe: bunDescribe as unknown as Base }

/** `test` and `describe` of bun:test, with all that they have, whose bodies run as `runTest` says. */
export function declarations<All extends object>({
  root,
  runTest,
  seeded,
  backstopMs,
}: Runner<All>): {
  test: TestFunction<All>
  describe: DescribeFunction<All>
} {
  // bun calls the bodies of nested groups later, so the group around is the one at the time of the call.
  let group = root

  const optionsOf = (
    group: Group<All>,
    given: unknown,
  ): { isolation: IsolationLevel; timeout: number | undefined; forBun: object } => {
    const {
      isolation = group.isolation,
      timeout,
      ...more
    }: TestOptions = typeof given === 'number' ? { timeout: given } : ((given ?? {}) as TestOptions)
    return { isolation, timeout, forBun: { ...more, timeout: backstopMs(timeout) } }
  }

  /** What a group's body gets: of that group inside a group of bun:test too, of which the kit knows nothing. */
  const partsOf = (own: Group<All>): Parameters<GroupBody<All>> => {
    const groupHere = () => (isWithin(group, own) ? group : own)
    return [wrapTest(base.test, undefined, groupHere), wrapDescribe(base.describe, undefined, groupHere)]
  }

  const wrapTest = (given: Base, order?: Order, groupHere = () => group): TestFunction<All> => {
    // bun 1.4.5 forgets describe.serial when it runs with --concurrent.
    const ordered = (group: Group<All>) => inOrder(given, order ?? group.order)
    const wrapped = (name: string, ...rest: (Body<All> | Given | undefined)[]) => {
      const body = rest.find((part): part is Body<All> => typeof part === 'function')
      const group = groupHere()
      const { isolation, timeout, forBun } = optionsOf(
        group,
        rest.find((part) => typeof part !== 'function'),
      )
      if (!body) return given(name)
      const written = { identity: identity(name), group, isolation, timeout, body }
      ordered(group)(name, () => runTest(written), forBun)
    }
    const each =
      (rows: readonly unknown[]) =>
      (name: string, ...rest: (((...args: unknown[]) => unknown) | Given | undefined)[]) => {
        const body = rest.find((part) => typeof part === 'function')
        const [group, where] = [groupHere(), identity(name)]
        const { isolation, timeout, forBun } = optionsOf(
          group,
          rest.find((part) => typeof part !== 'function'),
        )
        const run = (...row: unknown[]) =>
          runTest({
            identity: identityOf(row, where),
            group,
            isolation,
            timeout,
            body: (all) => body?.(...row, all),
          })
        ;(ordered(group).each as Each)(rows)(name, run, forBun)
      }
    return modified(wrapped, given, order, (next, then) => wrapTest(next, then, groupHere), {
      each,
    }) as TestFunction<All>
  }

  type GivenGroup = [GroupBody<All>?] | [GroupOptions<All, object>, GroupBody<All>]

  /** Groups of rows are handed their row, and no more: how long that is, is the body's own business. */
  const entering = (name: string, rest: GivenGroup, parent: Group<All>, order: Order, isEach = false) => {
    const [given, body] = typeof rest[0] === 'object' ? [rest[0], rest[1]] : [{}, rest[0]]
    const enter = (...row: unknown[]) => {
      const outer = group
      group = childOf(parent, given, name, order)
      try {
        ;(body as ((...args: unknown[]) => void) | undefined)?.(...(isEach ? row : partsOf(group)))
      } finally {
        group = outer
      }
    }
    return body && enter
  }

  const childOf = (parent: Group<All>, given: GroupOptions<All, object>, name: string, order: Order): Group<All> => ({
    parent,
    order: order ?? parent.order,
    isolation: given.isolation ?? parent.isolation,
    place: given.seed ? placeOnce(parent, given.seed, name) : parent.place,
    before: given.beforeEach ? [...parent.before, given.beforeEach] : parent.before,
    after: given.afterEach ? [given.afterEach, ...parent.after] : parent.after,
  })

  const placeOnce = (
    parent: Group<All>,
    seed: (all: All) => Promise<object | undefined>,
    name: string,
  ): Group<All>['place'] => {
    let place: Promise<Place> | undefined
    afterAll(async () => {
      // A seed that failed was told by each test of its group.
      await place?.then(
        (made) => made.close(),
        () => {},
      )
    })
    return () => {
      place ??= seeded(parent, seed, name)
      return place
    }
  }

  const wrapDescribe = (given: Base, order?: Order, groupHere = () => group): DescribeFunction<All> => {
    const ordered = inOrder(given, order)
    const wrapped = (name: string, ...rest: GivenGroup) => ordered(name, entering(name, rest, groupHere(), order))
    const each =
      (rows: readonly unknown[]) =>
      (name: string, ...rest: GivenGroup) =>
        (ordered.each as Each)(rows)(name, entering(name, rest, groupHere(), order, true))
    return modified(wrapped, given, order, (next, then) => wrapDescribe(next, then, groupHere), {
      each,
    }) as DescribeFunction<All>
  }

  return { test: wrapTest(base.test), describe: wrapDescribe(base.describe) }
}

function isWithin<All>(group: Group<All> | undefined, around: Group<All>): boolean {
  return group !== undefined && (group === around || isWithin(group.parent, around))
}

/** The last word counts: bun has no test.serial.concurrent. */
const inOrder = (given: Base, order: Order): Base => (order ? (given[order] as Base) : given)

const modifiers = ['only', 'skip', 'todo', 'failing'] as const
const orders = ['serial', 'concurrent'] as const
const choices = ['if', 'skipIf', 'todoIf'] as const

/** Gives a wrapped function all modifiers of the one that it wraps, wrapped in the same way. */
function modified(
  wrapped: object,
  base: Base,
  order: Order,
  wrap: (base: Base, order: Order) => unknown,
  more: object,
): unknown {
  for (const name of modifiers) Object.defineProperty(wrapped, name, { get: () => wrap(base[name] as Base, order) })
  for (const name of orders) Object.defineProperty(wrapped, name, { get: () => wrap(base, name) })
  for (const name of choices) {
    Object.assign(wrapped, {
      [name]: (condition: boolean) => wrap((base[name] as (condition: boolean) => Base)(condition), order),
    })
  }
  return Object.assign(wrapped, more)
}

/** Where a test was written is read from a stack only when somebody asks: that costs more than many a test. */
function identity(name: string): TestIdentity {
  const at = new Error()
  return {
    name,
    get place() {
      return placeIn(at.stack ?? '')
    },
  }
}

/** The same for one row of `each`; its values are written out only when somebody asks, too. */
const identityOf = (row: unknown[], test: TestIdentity): TestIdentity => ({
  get name() {
    return `${test.name} ${inShort(row)}`
  },
  get place() {
    return test.place
  },
})

/** The first line of the stack outside the kit. */
function placeIn(stack: string): string {
  const frame = stack.split('\n').find((line) => /:\d+:\d+\)?$/.test(line) && !line.includes(import.meta.dir))
  return /\(?([^\s()]+:\d+):\d+\)?$/.exec(frame ?? '')?.[1]?.replace(`${process.cwd()}/`, '') ?? 'somewhere'
}

const inShort = (row: unknown[]): string => {
  const text = Bun.inspect(row).replace(/\s+/g, ' ')
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
