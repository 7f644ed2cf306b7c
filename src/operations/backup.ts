import { Database as Client } from 'bun:sqlite'
import { dialectOf } from '../database/dialect'
import { malformed } from '../errors'
import { writeNewFile } from './new-file'
import { dumpPostgres } from './pg-dump'

/**
 * Copies the whole database as it is at one moment, while others write to it, and says in words what was written. It does
 * not bring the database up to date first, so it can be run by a newer version before that is let near the data.
 */
export async function backup(databaseUrl: string, file: string): Promise<string> {
  const began = performance.now()
  const bytes = await writeNewFile(file, (unfinished) =>
    dialectOf(databaseUrl) === 'postgres' ? dumpPostgres(databaseUrl, unfinished) : copySqlite(databaseUrl, unfinished),
  )
  return `Backed up to ${file}: ${bytes} bytes in ${Math.round(performance.now() - began)} ms.`
}

/**
 * VACUUM INTO reads in one transaction, beside which others write (Bun has no way to SQLite's backup API). Rows keep their
 * rowids where they are a column, as in the tables behind the search index, so that stays right.
 */
async function copySqlite(databaseUrl: string, file: string): Promise<void> {
  const path = databaseUrl.replace(/^sqlite:/, '')
  if (path === ':memory:') throw malformed('A database in memory cannot be backed up; look at DATABASE_URL.')
  try {
    using client = new Client(path, { readwrite: true, create: false, strict: true })
    client.run('pragma busy_timeout = 5000')
    client.query('vacuum into ?').run(file)
  } catch (cause) {
    throw new Error('The database could not be copied; look at DATABASE_URL', { cause })
  }
}
