import { type AnyColumn, type SQL, sql } from 'drizzle-orm'

// Postgres gives sums and counts of its bigints as text, SQLite as numbers.

/** 0 where there are no rows. */
export const sumOf = (column: AnyColumn) => sql<number>`coalesce(sum(${column}), 0)`.mapWith(Number)

/** `*`, or `distinct` something. */
export const countOf = (what: SQL) => sql<number>`count(${what})`.mapWith(Number)
