import { dialect } from './dialect'
import { readMigrations } from './migrations.macro' with { type: 'macro' }

/** The steps for the running dialect, oldest first. */
export const migrations = dialect === 'postgres' ? readMigrations('postgres') : readMigrations('sqlite')
