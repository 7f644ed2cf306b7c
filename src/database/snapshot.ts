import type { Connection } from './database'
import { dialect } from './dialect'
import { Scope } from './session'

/**
 * Runs `work`, which only reads, on one state of the database: nobody has to wait for it, and it is not begun again.
 * For a process that does nothing else at the same time.
 */
export async function readSnapshot<T>({ root, database }: Connection, work: () => Promise<T>): Promise<T> {
  if (dialect === 'postgres') {
    return await database.transaction(async () => {
      await isolate('repeatable read, read only')
      return await work()
    })
  }
  // Not `begin immediate`, as transactions begin here else: that would keep everybody from writing.
  await root.run(raw('begin'))
  try {
    return await work()
  } finally {
    await root.run(raw('rollback'))
  }
}

/**
 * Postgres only, first in a transaction. Serializable ones that read whole tables are undone again and again for what
 * others write meanwhile; a fixed state of the database is enough for whoever locks what it changes.
 */
export async function isolate(level: 'repeatable read' | 'repeatable read, read only'): Promise<void> {
  if (dialect === 'postgres') await Scope.current()?.run(raw(`set transaction isolation level ${level}`))
}

export const raw = (text: string, shape: 'arrays' | 'objects' = 'arrays') => ({ text, params: [], shape })
