import { type SQL, sql } from 'drizzle-orm'
import * as pg from 'drizzle-orm/pg-core'
import * as lite from 'drizzle-orm/sqlite-core'
import { dialect } from './dialect'

const postgres = {
  table: pg.pgTable,
  index: pg.index,
  unique: pg.unique,
  uniqueIndex: pg.uniqueIndex,
  primaryKey: pg.primaryKey,
  foreignKey: pg.foreignKey,
  check: pg.check,
  text: pg.text,
  uuid: () => pg.uuid(),
  integer: () => pg.integer(),
  bigint: () => pg.bigint({ mode: 'number' }),
  boolean: () => pg.boolean(),
  timestamp: () => pg.timestamp({ withTimezone: true, precision: 3, mode: 'date' }),
  // Not jsonb, which writes 1e308 in 309 digits: what is kept is as long as what was given.
  json: () => pg.json(),
}

const sqlite = {
  table: lite.sqliteTable,
  index: lite.index,
  unique: lite.unique,
  uniqueIndex: lite.uniqueIndex,
  primaryKey: lite.primaryKey,
  foreignKey: lite.foreignKey,
  check: lite.check,
  text: lite.text,
  uuid: () => lite.text(),
  integer: () => lite.integer(),
  bigint: () => lite.integer(),
  boolean: () => lite.integer({ mode: 'boolean' }),
  timestamp: () => lite.integer({ mode: 'timestamp_ms' }),
  json: () => lite.text({ mode: 'json' }),
}

type Data<Column> = Column extends () => { _: { data: infer T } } ? T : never
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Kind = 'uuid' | 'integer' | 'bigint' | 'boolean' | 'timestamp' | 'json'
/** Does not compile when a column reads as another TypeScript type on the other dialect. */
const parity: { [K in Kind]: Same<Data<(typeof postgres)[K]>, Data<(typeof sqlite)[K]>> } = {
  uuid: true,
  integer: true,
  bigint: true,
  boolean: true,
  timestamp: true,
  json: true,
}
void parity

/**
 * Tables are declared once, typed as Postgres; the running dialect supplies the builders.
 * The cast is safe because `parity` holds and the rest of the code uses only what both dialects have.
 */
export const {
  table,
  index,
  unique,
  uniqueIndex,
  primaryKey,
  foreignKey,
  check,
  text,
  uuid,
  integer,
  bigint,
  boolean,
  timestamp,
  json,
} = dialect === 'postgres' ? postgres : (sqlite as unknown as typeof postgres)

/** A moment as it goes over the wire, for lists: JSON.stringify takes much longer over a Date than this does. */
export const written = (moment: pg.PgColumn): SQL<string> =>
  sql<string>`${moment}`.mapWith((value) => (moment.mapFromDriverValue(value) as Date).toISOString())
