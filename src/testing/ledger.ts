import { AsyncLocalStorage } from 'node:async_hooks'
import { onceForEach } from './by-text'
import { isWord, tokensOf } from './sql-tokens'

/** One statement that reached the database. */
export type LedgerStatement = {
  text: string
  params: readonly unknown[]
  ms: number
  /** 0 outside the app's transactions, 1 in one, 2 in a savepoint of it. */
  depth: number
  /** What it returned. */
  rows?: readonly unknown[]
  /** Asked through the outer handle by code that runs in a transaction. */
  outside?: boolean
  /** Its transaction was rolled back. */
  undone?: boolean
  error?: string
}

/** One request that a test made, and what the app asked the database because of it. */
export type LedgerRequest = {
  method: string
  path: string
  status?: number
  ms?: number
  statements: LedgerStatement[]
}

const asking = new AsyncLocalStorage<LedgerRequest | undefined>()

/** Runs what a request only caused, so that its statements are not the request's. */
export const asNobodysRequest = <T>(work: () => T): T => asking.run(undefined, work)

/** What a test did, in order: it is printed with the error when the test fails. */
export class Ledger {
  readonly requests: LedgerRequest[] = []
  /** Statements that no request caused: the test's own. */
  readonly own: LedgerStatement[] = []

  get statements(): LedgerStatement[] {
    return [...this.own, ...this.requests.flatMap(({ statements }) => statements)]
  }

  readonly #pending = new Set<LedgerRequest>()
  #answered: PromiseWithResolvers<void> | undefined

  /** Requests that the app has not answered yet. */
  get pending(): LedgerRequest[] {
    return [...this.#pending]
  }

  /** Resolves when no request waits for its answer. */
  answered(): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve()
    this.#answered ??= Promise.withResolvers()
    return this.#answered.promise
  }

  /** Runs a request so that all its statements are written under it. */
  async request(method: string, path: string, handle: () => Promise<Response>): Promise<Response> {
    const entry: LedgerRequest = { method, path, statements: [] }
    this.requests.push(entry)
    this.#pending.add(entry)
    const startedAt = performance.now()
    try {
      const response = await asking.run(entry, handle)
      entry.status = response?.status ?? 101 // nothing is answered where a socket became a WebSocket
      return response
    } finally {
      entry.ms = performance.now() - startedAt
      this.#pending.delete(entry)
      if (this.#pending.size === 0) this.#answered?.resolve()
      if (this.#pending.size === 0) this.#answered = undefined
    }
  }

  record(statement: LedgerStatement): void {
    this.asked.push(statement)
  }

  /** What was asked for the request that is running, or by the test itself. */
  get asked(): LedgerStatement[] {
    return asking.getStore()?.statements ?? this.own
  }

  /** Everything as text, at most `lines` lines. */
  format(lines = 200): string {
    const all = [
      ...this.own.map((statement) => line(statement, '')),
      ...this.requests.flatMap(({ method, path, status, ms, statements }) => [
        `${method} ${path} -> ${status ?? 'no answer'}${ms === undefined ? '' : ` (${ms.toFixed(1)} ms)`}`,
        ...statements.map((statement) => line(statement, '  ')),
      ]),
    ]
    const left = all.length - lines
    return [...all.slice(0, lines), ...(left > 0 ? [`... and ${left} lines more`] : [])].join('\n')
  }
}

/** Says of the statements of a transaction that it was rolled back. */
export function undo(statements: readonly LedgerStatement[]): void {
  for (const statement of statements) statement.undone = true
}

/**
 * Runs a transaction, and says in the ledger what was undone with it. `begin` is called whenever it begins, for the list
 * of what is asked in it, which becomes a part of `around`.
 */
export async function undoable<T>(
  transaction: (begin: () => LedgerStatement[]) => Promise<T>,
  around?: LedgerStatement[],
): Promise<T> {
  const asked: LedgerStatement[] = []
  try {
    return await transaction(() => {
      if (asked.length > 0) undo(asked.splice(0)) // begun again, as after a deadlock
      return asked
    })
  } catch (error) {
    undo(asked)
    throw error
  } finally {
    for (const statement of asked) around?.push(statement)
  }
}

/** Statements that change rows; also where a CTE does. */
export const writing =
  /^\s*(insert|update|delete|replace|merge|truncate)\b|^\s*with\b[\s\S]*\b(insert\s+into|update\s+\S+\s+set|delete\s+from)\b/i

/** Whether rows are other ones than before, as far as the statement tells: one that returns what it changed, and returns nothing, changed none. */
export const hasWritten = ({ text, error, undone, rows }: LedgerStatement): boolean =>
  writing.test(text) && error === undefined && !undone && !(rows?.length === 0 && returnsWhatItChanges(text))

const returnsWhatItChanges = onceForEach((text) => {
  const tokens = tokensOf(text)
  return (
    isWord(tokens[0], 'insert', 'update', 'delete', 'replace', 'merge') &&
    tokens.some((token) => isWord(token, 'returning'))
  )
})

const line = ({ text, params, ms, depth, error, undone }: LedgerStatement, indent: string): string =>
  `${indent}${'| '.repeat(depth)}${text.replace(/\s+/g, ' ').trim()}${params.length > 0 ? ` <- ${params.map(short).join(', ')}` : ''} (${ms.toFixed(2)} ms)${error ? ` FAILED: ${error}` : undone ? ' undone' : ''}`

function short(value: unknown): string {
  const text =
    typeof value === 'string' ? JSON.stringify(value) : value instanceof Date ? value.toISOString() : String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
