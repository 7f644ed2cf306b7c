/** One process speaks one dialect, decided by its DATABASE_URL. */
export type Dialect = 'sqlite' | 'postgres'

/** White space around an address is nothing, as in config.ts. */
export const dialectOf = (url: string | undefined): Dialect =>
  /^\s*postgres(ql)?:/.test(url ?? '') ? 'postgres' : 'sqlite'

export const dialect = dialectOf(process.env.DATABASE_URL)
