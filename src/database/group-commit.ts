import { inTime } from '../in-time'
import { Scope, type Session, type Statement, waitedTooLong } from './session'

/** The only connection to a database that has one writer, and what is done on it. */
type Connection = {
  /** Outside a transaction. */
  run(statement: Statement): Promise<unknown[]>
  /** Inside one. */
  readonly inner: Session
  begin(): Promise<void>
  commit(): void
  /** Also where the database has undone the transaction already. */
  rollback(): void
  /** How many rows were written so far. */
  written(): number
}

/** Transactions that run one after the other and are committed together. */
type Group = { size: number; readonly over: PromiseWithResolvers<End> }
type End = { committed: true } | { committed: false; error?: unknown }
type Outcome<T> = { result: T } | { error: unknown }

/** Whoever comes first waits for the last. */
const largestGroup = 32

/**
 * Transactions that come at the same moment share a commit: most of what SQLite writes for a small one, above all for its
 * full-text index, it writes once for all of them. Nobody is told that a transaction is over before its group is
 * committed, and statements outside of it wait until then. Where one fails that has written rows, all are undone and each
 * is done again on its own, so what runs inside must be repeatable, as on Postgres. Savepoints could undo one alone, but
 * the full-text index is written at each of them.
 */
export function groupCommit({ run, inner, begin, commit, rollback, written }: Connection): Session {
  let group: Group | undefined
  /** A transaction has its turn. */
  let isTaken = false
  /** Statements outside of transactions that are under way: more than one where another process has locked the file. */
  let running = 0
  const statements: (() => void)[] = []
  const transactions: (() => void)[] = []
  let sizeBefore = 1
  let ofThisTurn = 0

  return {
    pooled: true, // whoever comes waits here, not in the scope

    async run(statement) {
      if (isTaken) await turnIn(statements)
      else running++
      try {
        return await run(statement)
      } finally {
        if (--running === 0) next()
      }
    },

    async nest(work) {
      const first = await attempt(work)
      const end = await first.group.over.promise
      if (end.committed || first.group.size === 1) return resultOf(first.outcome, end)
      const again = await attempt(work, { alone: true })
      return resultOf(again.outcome, await again.group.over.promise)
    },
  }

  async function attempt<T>(work: (inner: Session) => Promise<T>, { alone = false } = {}) {
    countArrival()
    if (isTaken || running > 0) await turnIn(transactions)
    else isTaken = true
    try {
      if (group && alone) commitAll(group)
      const joined = group ?? (await open())
      joined.size++
      const writtenBefore = written()
      const outcome = await outcomeOf(() => work(inner))
      if ('error' in outcome && (joined.size === 1 || written() !== writtenBefore)) undoAll(joined)
      else if (alone || joined.size === largestGroup || !(await isFollowed())) commitAll(joined)
      return { outcome, group: joined }
    } finally {
      isTaken = false
      next()
    }
  }

  async function open(): Promise<Group> {
    await begin()
    group = { size: 0, over: Promise.withResolvers() }
    return group
  }

  function countArrival(): void {
    if (ofThisTurn === 0) {
      setImmediate(() => {
        ofThisTurn = 0
      })
    }
    ofThisTurn++
  }

  /** Waits a turn of the event loop for others, but only where they came together lately: else it would only take longer. */
  async function isFollowed(): Promise<boolean> {
    if (transactions.length === 0 && (sizeBefore > 1 || ofThisTurn > 1)) await new Promise(setImmediate)
    return transactions.length > 0
  }

  function commitAll(ending: Group): void {
    close(ending)
    try {
      commit()
      ending.over.resolve({ committed: true })
    } catch (error) {
      rollback()
      ending.over.resolve({ committed: false, error })
    }
  }

  function undoAll(ending: Group): void {
    close(ending)
    rollback()
    ending.over.resolve({ committed: false })
  }

  function close({ size }: Group): void {
    group = undefined
    sizeBefore = size
  }

  /** Statements outside of transactions go first, and only where none is open: they must not see what may be undone. */
  function next(): void {
    if (!group && statements.length > 0) {
      running = statements.length
      for (const go of statements.splice(0)) go()
      return
    }
    const go = transactions.shift()
    isTaken = go !== undefined
    go?.()
  }
}

async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { result: await work() }
  } catch (error) {
    return { error }
  }
}

function resultOf<T>(outcome: Outcome<T>, end: End): T {
  if ('error' in outcome) throw outcome.error
  if (!end.committed) throw end.error
  return outcome.result
}

/** Resolves when `next` says so. Waits no longer than the scope's patience: what it waits for may be waiting for it. */
function turnIn(queue: (() => void)[]): Promise<void> {
  const turn = Promise.withResolvers<void>()
  queue.push(turn.resolve)
  return inTime(turn.promise, { ms: Scope.patienceMs, late: waitedTooLong }).catch((late) => {
    queue.splice(queue.indexOf(turn.resolve), 1)
    throw late
  })
}
