import { afterAll } from 'bun:test'
import { createKit, openRunDatabase } from '../../src/testing'
import { add, app, createTables, door, settle } from './fixtures/app'

/** What was made for a test although nobody may have asked for it. */
export const made: string[] = []

/** For each time that the kit waited for the app: whether the test was over. */
export const settled: boolean[] = []

const run = await openRunDatabase({ env: { TESTING_DATABASE_URL: process.env.TESTING_DATABASE_URL } })

/** The kit with the small app of the fixtures, on a database of its own beside the run's. */
export const ownKit = await createKit({
  run,
  door,
  app,
  prepare: (session) => createTables(session, run.dialect),
  seed: async () => {
    await add('seeded')
    return { seeded: { text: 'seeded' } }
  },
  settle: async ({ testIsOver }) => {
    settled.push(testIsOver)
    await settle()
  },
  fixtures: {
    alice: ({ client }) => {
      made.push('alice')
      return client(() => ({}))
    },
    costly: () => {
      made.push('costly')
      return 'made at great cost'
    },
  },
})
afterAll(ownKit.close)
