import { afterAll } from 'bun:test'
import { openRunDatabase } from '../src/testing'

// Runs to its end before any test file is loaded: the tables are declared for the dialect that this decides.
export const runDatabase = await openRunDatabase()
process.env.DATABASE_URL = runDatabase.url

afterAll(async () => {
  const { kit } = await import('./kit')
  await kit.close()
})
