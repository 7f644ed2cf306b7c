import { onceForEach } from './by-text'

/** What a savepoint cannot show as it would be, or would be destroyed by, and why. */
const impossible: readonly { pattern: RegExp; what: string; why: string }[] = [
  {
    pattern:
      /^\s*(begin|commit|end|rollback|abort|start\s+transaction|prepare\s+transaction|savepoint|release)\b|;\s*(commit|rollback)\b|^(?!\s*create\b)[\s\S]*;\s*(end|abort)\b/i,
    what: 'A raw transaction statement',
    why: 'it would end the transaction that isolates this test. Use the transaction function of the database handle',
  },
  { pattern: /\bskip\s+locked\b/i, what: 'SKIP LOCKED', why: 'one connection never meets its own locks' },
  {
    pattern: /\bfor\s+(no\s+key\s+)?(update|share)\s+nowait\b/i,
    what: 'NOWAIT',
    why: 'one connection never meets its own locks',
  },
  {
    pattern:
      /^\s*set\s+(session\s+characteristics|((local|session)\s+)?transaction(_isolation|_read_only|_deferrable)?)\b/i,
    what: 'SET TRANSACTION',
    why: 'the transaction that isolates this test has begun already',
  },
  {
    pattern: /\bpg_(try_)?advisory_/i,
    what: 'An advisory lock',
    why: 'one connection always gets its own lock, and a session lock outlives the rollback',
  },
  {
    pattern: /^\s*(listen|notify|unlisten)\b|\bpg_notify\s*\(/i,
    what: 'LISTEN or NOTIFY',
    why: 'a notification is delivered at COMMIT, and this test never commits',
  },
  {
    pattern:
      /^\s*(vacuum|create\s+database|drop\s+database|alter\s+system|reindex\s+(?:database|system)|create\s+(unique\s+)?index\s+concurrently|drop\s+index\s+concurrently)\b/i,
    what: 'A statement that cannot run in a transaction',
    why: 'this test runs in one',
  },
  {
    pattern: /\bor\s+rollback\b/i,
    what: 'OR ROLLBACK',
    why: 'it would roll back the transaction that isolates this test',
  },
  {
    pattern: /\bon\s+commit\s+(drop|delete\s+rows)\b/i,
    what: 'ON COMMIT',
    why: 'this test never commits, so the table keeps its rows',
  },
  {
    pattern: /\bsetval\s*\(/i,
    what: 'setval()',
    why: 'a sequence does not go back with a rollback, so the next test would have it',
  },
  {
    pattern: /^\s*(prepare|deallocate)\b/i,
    what: 'PREPARE or DEALLOCATE',
    why: 'a prepared statement outlives the rollback, so the next test would have it',
  },
  { pattern: /^\s*(attach|detach)\b/i, what: 'ATTACH', why: 'it cannot be undone by a rollback' },
]

let someWait = false
/** False as long as no statement of the run has made foreign keys wait for COMMIT on SQLite, so that nobody needs to ask. */
export const foreignKeysMayWait = (): boolean => someWait

/** Literals and comments do not count. */
const impossibleIn = onceForEach((text) => {
  someWait ||= /\bdefer_foreign_keys\b/i.test(text)
  const bare = text.replace(/'(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\//g, ' ')
  return impossible.find(({ pattern }) => pattern.test(bare)) ?? null
})

/** Throws for what only a database of the test's own can show. */
export function requireForkable(text: string, tolerated: readonly RegExp[] = [], isInRewind = false): void {
  const found = impossibleIn(text)
  if (!found || tolerated.some((statement) => statement.test(text))) return
  if (isInRewind) throw new Error(`${found.what} does not work in a rewind, which is a savepoint: ${found.why}.`)
  throw new Error(
    `${found.what} does not work at the isolation level "savepoint": ${found.why}. Give the test a database of its own: test(name, { isolation: 'fork' }, ...).`,
  )
}
