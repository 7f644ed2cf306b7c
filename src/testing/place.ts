import type { Session } from '../database/session'
import { type CommitRules, readCommitRules } from './commit'
import type { Door, Opened } from './door'
import { Held } from './held'
import type { Ledger } from './ledger'
import type { RunDatabase } from './run-database'
import { groundOn, type IsolationLevel, Sandbox, type TestIdentity } from './sandbox'

/** Makes rows for all tests of a place, given what the seeds before it returned. What it returns is among their fixtures. */
export type Seed = (seeded: object) => Promise<object | undefined>

/** One test's hold on a database. */
export type Isolation = {
  readonly sandbox: Sandbox
  readonly level: IsolationLevel
  /** What the seeds of this database returned, together. */
  readonly seeded: object
  /** Undoes everything, or with `keep` (forks only) leaves the database for a look and returns its URL. */
  end(options: { keep: boolean }): Promise<string | undefined>
}

/**
 * A seeded database from which tests start: the run's, or that of a group with a seed of its own, which is a copy of its
 * parent's with the group's rows added. Tests hold savepoints in it, or get forks of it.
 */
export class Place {
  /** Whose transactions are open here. */
  readonly #holders = new Set<TestIdentity>()
  /** Transactions on Postgres that tests left behind as they had found them. */
  readonly #renewed: Held[] = []
  #isClosed = false
  /** How many tests wait for a transaction, maybe for a connection. */
  #waiting = 0
  #template: Uint8Array | undefined
  #rules: Promise<CommitRules> | undefined

  private constructor(
    private readonly run: RunDatabase,
    private readonly door: Door,
    private readonly opened: Opened,
    private readonly seeds: readonly Seed[],
    /** What the run's own seed returned, and what all seeds of this place returned. */
    private readonly root: object,
    readonly seeded: object,
    private readonly remove: () => void,
  ) {}

  /** The run's own database: `prepare` makes its tables, `seed` fills it. */
  static async root(
    run: RunDatabase,
    door: Door,
    prepare: (session: Session) => Promise<void>,
    seed: (session: Session) => Promise<object>,
  ): Promise<Place> {
    const within = <T>({ session }: Opened, work: (session: Session) => Promise<T>) =>
      door.enter(session, () => work(session))
    if (run.dialect === 'sqlite') {
      const { kept } = run
      const tables = kept?.read()
      const opened = await door.open(tables ?? run.url)
      if (!tables) {
        await within(opened, prepare)
        const made = kept && inMemory(opened.serialize?.())
        if (made) kept.write(made)
      }
      const seeded = frozen(await within(opened, seed))
      return new Place(run, door, opened, [], seeded, seeded, () => {})
    }
    await run.create(async (url) => {
      const opened = await door.open(url)
      try {
        await within(opened, prepare)
      } finally {
        await opened.close()
      }
    })
    const opened = await door.open(run.url)
    const seeded = frozen(await within(opened, seed))
    // A template may have no connections while it is copied.
    await opened.close()
    await run.freeze()
    return new Place(run, door, await door.open(run.url), [], seeded, seeded, () => {})
  }

  /** A copy of this database with more rows, for a group of tests. */
  async group(seed: Seed): Promise<Place> {
    const { opened, seeded, remove } = await this.#fork()
    try {
      const own = await this.door.enter(opened.session, () => seed(seeded))
      const seeds = [...this.seeds, seed]
      return new Place(this.run, this.door, opened, seeds, this.root, frozen({ ...seeded, ...own }), () =>
        remove({ keep: false }),
      )
    } catch (error) {
      await opened.close()
      remove({ keep: false })
      throw error
    }
  }

  async isolate(
    level: IsolationLevel,
    test: TestIdentity,
    ledger: Ledger,
    more: { onLate?: (error: Error) => void; patienceMs?: number; tolerated?: readonly RegExp[] } = {},
  ): Promise<Isolation> {
    const { dialect } = this.run
    const rules = await this.#commitRules()
    const options = { dialect, level, test, ledger, rules, neighbours: this.#holders, ...more }

    // SQLite has one connection, so a test that runs beside another one gets a database of its own, and a savepoint in that.
    const crowded = dialect === 'sqlite' && this.#holders.size > 0
    if (level === 'savepoint' && !crowded) {
      this.#holders.add(test)
      try {
        const ground = groundOn(dialect, more.patienceMs)
        const held = await this.#take(ground)
        return {
          sandbox: new Sandbox(held.session, options),
          level,
          seeded: this.seeded,
          end: async () => {
            await this.#giveBack(held, ground)
            this.#holders.delete(test)
            return undefined
          },
        }
      } catch (error) {
        this.#holders.delete(test)
        throw error
      }
    }
    const { opened, seeded, remove } = await this.#fork()
    const held = level === 'savepoint' ? await Held.open(opened.session) : undefined
    return {
      sandbox: new Sandbox(held?.session ?? opened.session, options),
      level,
      seeded,
      end: async ({ keep }) => {
        await held?.rollback()
        await opened.close()
        return remove({ keep })
      },
    }
  }

  /** Runs `work` on this database itself, for good. */
  enter<T>(session: Session, work: () => Promise<T>): Promise<T> {
    return this.door.enter(session, work)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (let held = this.#takeRenewed(); held; held = this.#takeRenewed()) await held.rollback()
    await this.opened.close()
    this.remove()
  }

  async #take(ground: string | undefined): Promise<Held> {
    const renewed = this.#takeRenewed()
    if (ground !== undefined) renewed?.refresh(ground)
    if (renewed) return renewed
    this.#waiting++
    try {
      return await Held.open(this.opened.session, ground)
    } finally {
      this.#waiting--
    }
  }

  async #giveBack(held: Held, ground: string | undefined): Promise<void> {
    // Who waits, waits for a connection that is free; and a test that outlived its place is the last one here.
    const isWanted = () => ground !== undefined && this.#waiting === 0 && !this.#isClosed
    if (ground !== undefined && isWanted()) await held.renew(ground)
    if (isWanted()) this.#renewed.push(held)
    else await held.rollback()
  }

  #takeRenewed(): Held | undefined {
    let held = this.#renewed.pop()
    while (held?.isOver) held = this.#renewed.pop()
    return held
  }

  /** Once, before the first test holds a transaction: the template must have no test's rows in it. */
  #commitRules(): Promise<CommitRules> {
    this.#rules ??= readCommitRules(this.opened.session, this.run.dialect).then((rules) => {
      this.#template = inMemory(this.opened.serialize?.())
      return rules
    })
    return this.#rules
  }

  async #fork(): Promise<{
    opened: Opened
    seeded: object
    remove: (options: { keep: boolean }) => string | undefined
  }> {
    await this.#commitRules()
    if (this.#template) {
      return { opened: await this.door.open(this.#template), seeded: this.seeded, remove: () => undefined }
    }
    const { url, remove } = await this.run.fork()
    const opened = await this.door.open(url)
    // A Postgres database that tests are connected to cannot be copied: a fork of a group is one of the run with the group's seeds again.
    let seeded = this.root
    for (const seed of this.seeds) {
      const before = seeded
      seeded = frozen({ ...before, ...(await this.door.enter(opened.session, () => seed(before))) })
    }
    return { opened, seeded, remove }
  }
}

/** A file in WAL mode says so in bytes 18 and 19 of its header, and cannot be opened in memory before they say otherwise. */
function inMemory(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes?.fill(1, 18, 20)
}

/** What all tests of a place share, none can change. Plain values only: what has a class looks after itself. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== Array.prototype) return value
  Object.freeze(value)
  for (const part of Object.values(value)) frozen(part)
  return value
}
