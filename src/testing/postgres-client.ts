import type Postgres from 'postgres'

/** postgres.js, read only when it is used: it and the parts of Node under it would be a tenth of each start on SQLite. */
const load = (): typeof Postgres => require('postgres').default

export const postgres = ((...args: Parameters<typeof Postgres>) => load()(...args)) as typeof Postgres
