import { expect } from 'bun:test'
import type { Ledger, LedgerRequest, LedgerStatement } from './ledger'
import { running } from './running'

type Counted = Ledger | LedgerRequest | { ledger: Ledger }

declare module 'bun:test' {
  interface Matchers<T> {
    /** Of a ledger, a world with one, or one request of it: so many statements reached the database. */
    toHaveRun(statements: number): void
  }
}

/** Adds `expect(ledger).toHaveRun(n)`. */
export function addQueryMatchers(): void {
  expect.extend({
    toHaveRun(received: unknown, expected: number) {
      if (!isCounted(received)) throw new Error('toHaveRun() counts the statements of a ledger or of a request in it.')
      const statements = statementsOf(received)
      return {
        pass: statements.length === expected,
        message: () => miscounted(expected, statements),
      }
    },
  })
}

/**
 * Runs `act` and throws unless it ran exactly so many statements; they are in the message. What the app does after its
 * response counts as far as it is done when `act` resolves: `settle()` in it, where that matters.
 */
export async function expectQueries<T>(expected: number, act: () => PromiseLike<T>): Promise<T> {
  const { result, statements } = await statementsDuring(act)
  if (statements.length !== expected) throw new Error(miscounted(expected, statements))
  return result
}

/**
 * Runs `act` with one row and with `rows` (10 unless said otherwise), which `add` makes, and throws when it needs more
 * statements for more rows. The one that repeats is named.
 */
export async function expectSameQueries(
  add: (rows: number) => PromiseLike<unknown>,
  act: () => PromiseLike<unknown>,
  { rows = 10 }: { rows?: number } = {},
): Promise<void> {
  const { settle } = running.get()
  // What comes of it later is not what the act asks.
  await add(1)
  await settle()
  const one = countsOf((await statementsDuring(act)).statements)
  await add(rows - 1)
  await settle()
  const many = countsOf((await statementsDuring(act)).statements)

  if (sum(many) === 0)
    throw new Error(`With 1 row and with ${rows} no statement ran, so nothing is known of more rows.`)
  const grown = [...many].filter(([text, times]) => times > (one.get(text) ?? 0))
  if (sum(many) <= sum(one)) return
  const list = grown.map(([text, times]) => `  ${one.get(text) ?? 0} -> ${times} times: ${text}`)
  throw new Error(
    `With ${rows} rows instead of 1, ${sum(many)} statements ran instead of ${sum(one)}. Ask for all rows at once.\n${list.join('\n')}`,
  )
}

async function statementsDuring<T>(act: () => PromiseLike<T>): Promise<{ result: T; statements: LedgerStatement[] }> {
  const { ledger } = running.get()
  const before = new Set(ledger.statements)
  const result = await act()
  return { result, statements: withoutMarks(ledger.statements.filter((statement) => !before.has(statement))) }
}

/** Savepoints ask for no rows, and only some drivers show them. */
const withoutMarks = (statements: readonly LedgerStatement[]) =>
  statements.filter(({ text }) => !/^\s*(savepoint|release|rollback\s+to)\b/i.test(text))

const isCounted = (value: unknown): value is Counted =>
  typeof value === 'object' && value !== null && ('statements' in value || 'ledger' in value)

const statementsOf = (counted: Counted): LedgerStatement[] => {
  const { statements } = 'ledger' in counted ? counted.ledger : counted
  return withoutMarks(statements)
}

/** How often each statement ran; lists of parameters count as the same at any length. */
function countsOf(statements: readonly LedgerStatement[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { text } of statements) {
    const same = text
      .replace(/\s+/g, ' ')
      .replace(/\(\s*\+?(?:\?|\$\d+)(?:\s*,\s*\+?(?:\?|\$\d+))+\s*\)/g, '(...)')
      .replace(/\(\.\.\.\)(?:\s*,\s*\(\.\.\.\))+/g, '(...)')
    counts.set(same, (counts.get(same) ?? 0) + 1)
  }
  return counts
}

const sum = (counts: Map<string, number>): number => [...counts.values()].reduce((all, one) => all + one, 0)

const miscounted = (expected: number, statements: readonly LedgerStatement[]): string =>
  `Expected ${expected} statements, and there were ${statements.length}${statements.length === 0 ? '.' : ':'}${statements
    .map(
      ({ text, params, depth }, at) =>
        `\n  ${at + 1}. ${'| '.repeat(depth)}${text.replace(/\s+/g, ' ').trim()}${params.length > 0 ? ` <- ${JSON.stringify(params)}` : ''}`,
    )
    .join('')}`
