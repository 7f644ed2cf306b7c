import { sql, type Table } from 'drizzle-orm'

/** What a prepared INSERT ... SELECT puts into a column of the table beside what it selects: the placeholder of its name, encoded as the column is. */
export const givenFor =
  <T extends Table>(table: T) =>
  <Name extends keyof T['$inferSelect'] & string>(name: Name) =>
    sql<T['$inferSelect'][Name]>`${sql.param(sql.placeholder(name), table[name as keyof T] as never)}`.as(name)
