import { type Connection, connect } from './database'
import { migrate } from './migrate'

/** Connects and brings the database to the newest migration; `applied` are the tags of those it took. */
export async function openDatabase(url: string): Promise<{ connection: Connection; applied: string[] }> {
  let connection: Connection | undefined
  try {
    connection = connect(url)
    return { connection, applied: await migrate(connection.root) }
  } catch (cause) {
    await connection?.[Symbol.asyncDispose]()
    throw new Error('The database could not be opened and brought up to date; look at DATABASE_URL', { cause })
  }
}
