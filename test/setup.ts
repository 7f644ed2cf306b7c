import { afterAll } from 'bun:test'
import { openRunDatabase } from '../src/testing'

// Runs to its end before any test file is loaded: the tables are declared for the dialect that this decides.
const runDatabase = await openRunDatabase()
process.env.DATABASE_URL = runDatabase.url

afterAll(async () => {
  const { closeKit } = await import('./kit')
  await closeKit()
  await runDatabase[Symbol.asyncDispose]()
})
