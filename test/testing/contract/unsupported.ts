import type { Dialect, IsolationLevel } from '../../../src/testing'
import type { cases } from './cases'
import type { Subject } from './subjects'

type Where = { subject: Subject['name']; dialect: Dialect; level: IsolationLevel }

/** A case that some of the places do not run, and why. With `refusal`, it is run there and has to fail with these words. */
type Unsupported = {
  case: (typeof cases)[number]['name']
  where: Partial<Where>
  reason: string
  refusal?: string
}

const needsFork = 'it needs commits or connections that a savepoint does not have'

export const unsupported: readonly Unsupported[] = [
  {
    case: 'a failed statement inside a transaction poisons all of it',
    where: { subject: 'bun-sqlite' },
    reason: 'SQLite itself carries on, and the kit leaves it so',
  },
  ...(['seam', 'postgres-js'] as const).map((subject) => ({
    case: 'a failed statement inside a transaction poisons nothing, as SQLite does it' as const,
    where: { subject },
    reason: 'Postgres refuses everything after it, and the seam does so on both',
  })),
  ...(
    [
      'what a transaction set for itself is forgotten when it commits',
      'what a transaction set for the session stays when it commits',
      'a setting that SQL has words of its own for is forgotten when the transaction commits',
    ] as const
  ).map((name) => ({
    case: name,
    where: { dialect: 'sqlite' as const },
    reason: 'SQLite has no settings of a transaction',
  })),
  {
    case: 'a sequence does not go back when a transaction is undone',
    where: { dialect: 'sqlite' },
    reason: 'AUTOINCREMENT of SQLite is a row, and undone like one',
  },
  {
    case: 'commits are real: the database has no transaction around the test',
    where: { level: 'savepoint', dialect: 'sqlite' },
    reason: needsFork,
    refusal: "{ isolation: 'fork' }",
  },
  {
    case: 'commits are real: the database has no transaction around the test',
    where: { level: 'savepoint', dialect: 'postgres' },
    reason: needsFork,
  },
  ...(
    [
      'a locked row is skipped by another transaction',
      'a transaction that sees one snapshot does not see what others commit meanwhile',
      'a notification is delivered when its transaction commits',
    ] as const
  ).map((name) => ({
    case: name,
    where: { dialect: 'sqlite' as const },
    reason: 'SQLite in memory has one connection, no row locks and no notifications',
  })),
  {
    case: 'a locked row is skipped by another transaction',
    where: { level: 'savepoint', dialect: 'postgres' },
    reason: needsFork,
    refusal: 'SKIP LOCKED does not work at the isolation level "savepoint"',
  },
  {
    case: 'a transaction that sees one snapshot does not see what others commit meanwhile',
    where: { level: 'savepoint', subject: 'postgres-js' },
    reason: needsFork,
    refusal: 'SET TRANSACTION does not work at the isolation level "savepoint"',
  },
  {
    case: 'a transaction that sees one snapshot does not see what others commit meanwhile',
    where: { level: 'savepoint', subject: 'seam' },
    reason: 'a transaction begun inside another one is nested there, not a second one',
  },
  {
    case: 'a transaction that sees one snapshot does not see what others commit meanwhile',
    where: { level: 'fork', subject: 'seam' },
    reason: 'a transaction begun inside another one is nested there, not a second one',
  },
  {
    case: 'a notification is delivered when its transaction commits',
    where: { level: 'savepoint', subject: 'postgres-js' },
    reason: needsFork,
    refusal: 'sql.listen() does not work at the isolation level "savepoint"',
  },
  {
    case: 'a notification is delivered when its transaction commits',
    where: { subject: 'seam', dialect: 'postgres' },
    reason: 'the seam has no way to listen',
  },
]

export const unsupportedAt = (name: string, where: Where): Unsupported | undefined =>
  unsupported.find(
    (entry) =>
      entry.case === name && Object.entries(entry.where).every(([part, value]) => where[part as keyof Where] === value),
  )
