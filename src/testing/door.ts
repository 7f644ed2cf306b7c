import type { Session } from '../database/session'

/** An open database, as the kit uses it. */
export type Opened = {
  session: Session
  /** SQLite only: the whole database as bytes. */
  serialize?(): Uint8Array
  close(): PromiseLike<void> | void
}

/** How the kit gets at an app's database, and puts itself between the two. */
export interface Door {
  /** Opens a database of the run: by URL, or from the bytes of an SQLite database. */
  open(source: string | Uint8Array): Promise<Opened> | Opened
  /** Runs `work` so that everything the app asks its database goes to this session instead. */
  enter<T>(session: Session, work: () => Promise<T>): Promise<T>
}
