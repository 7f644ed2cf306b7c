/** One process speaks one dialect, decided by its DATABASE_URL. */
export type Dialect = 'sqlite' | 'postgres'

export const dialectOf = (url: string | undefined): Dialect =>
  /^postgres(ql)?:/.test(url ?? '') ? 'postgres' : 'sqlite'

export const dialect = dialectOf(process.env.DATABASE_URL)
