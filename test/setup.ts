import { afterAll } from 'bun:test'
import { join } from 'node:path'
import { closeRun, openRunDatabase } from '../src/testing'

// Runs to its end before any test file is loaded: the tables are declared for the dialect that this decides.
export const runDatabase = await openRunDatabase({
  madeFrom: ['../drizzle', '../src/database/migrate.ts'].map((path) => join(import.meta.dir, path)),
})
process.env.DATABASE_URL = runDatabase.url

afterAll(() => closeRun(runDatabase))
