import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { emptyDatabase, rowsOf } from '../own-database'
import { ownPostgres } from './own-postgres'

/** A database that can be away: Postgres is stopped, and the SQLite file is locked by another process. */
export type Unsteady = AsyncDisposable & { readonly url: string; leave(): Promise<void>; comeBack(): Promise<void> }

export async function unsteadyDatabase(): Promise<Unsteady> {
  if (dialect === 'postgres') {
    const postgres = await ownPostgres()
    return {
      url: postgres.url,
      leave: () => postgres.stop('SIGINT'),
      comeBack: () => postgres.start(),
      [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
    }
  }
  const database = await emptyDatabase()
  const other = connect(database.url)
  return {
    url: database.url,
    leave: async () => void (await rowsOf(other, 'begin immediate')),
    comeBack: async () => void (await rowsOf(other, 'rollback')),
    async [Symbol.asyncDispose]() {
      await other[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}
