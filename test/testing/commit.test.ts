import { expect, test } from 'bun:test'
import type { Session } from '../../src/database/session'
import { realCommit } from '../../src/testing/commit'

const rules = { dialect: 'sqlite', deferred: [], mayDefer: () => true } as const

/** Says that checks were deferred or not, and notes what it was asked. */
function noting(isDeferring: boolean): { session: Session; asked: string[] } {
  const asked: string[] = []
  const session: Session = {
    run: async ({ text }) => {
      asked.push(text)
      return text === 'pragma defer_foreign_keys' ? [{ defer_foreign_keys: Number(isDeferring) }] : []
    },
    nest: (work) => work(session),
  }
  return { session, asked }
}

// SQLite plans all its statements anew after any such pragma.
test('a transaction on SQLite switches deferred checks off only where the app has asked for them', async () => {
  const [usual, deferring] = [noting(false), noting(true)]

  for (const { session } of [usual, deferring]) await realCommit(session, rules, async () => {})

  expect(usual.asked).not.toContain('pragma defer_foreign_keys = off')
  expect(deferring.asked.at(-1)).toBe('pragma defer_foreign_keys = off')
})

test('a transaction on SQLite asks nothing where nobody can have asked for deferred checks', async () => {
  const { session, asked } = noting(false)

  await realCommit(session, { ...rules, mayDefer: () => false }, async () => {})

  expect(asked).toEqual([])
})
