import { type AnyColumn, sql } from 'drizzle-orm'

/** 0 where there are no rows. Postgres gives sums of its bigints as text, SQLite as numbers. */
export const sumOf = (column: AnyColumn) => sql<number>`coalesce(sum(${column}), 0)`.mapWith(Number)
