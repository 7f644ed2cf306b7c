import { dialect } from './dialect'
import { migrations } from './migrations'
import type { Scope } from './session'

/** One step of the schema, as drizzle-kit or a person wrote it. */
export type Migration = { readonly tag: string; readonly when: number; readonly sql: string }

/** Any constant will do that nobody else in the same database takes. */
export const advisoryLock = 727361

/**
 * Brings the database to the newest migration and returns the tags of those it applied.
 * Safe to run from several processes at once. Ours, because Drizzle's loses child rows on SQLite
 * (drizzle-team/drizzle-orm#5782: the rebuild of a table cascades) and races on Postgres.
 */
export async function migrate(root: Scope, steps: readonly Migration[] = migrations): Promise<string[]> {
  // Rebuilding an SQLite table drops it: with foreign keys on, that would cascade. Inside a transaction the pragma does nothing.
  if (dialect === 'sqlite') await root.session.run(raw('pragma foreign_keys = off'))
  try {
    return await root.session.nest(async (session) => {
      if (dialect === 'postgres') {
        // Else this transaction would still see, after its wait for the lock, what was there before it.
        await session.run(raw('set transaction isolation level read committed'))
        await session.run(raw('set local statement_timeout = 0'))
        await session.run(raw(`select pg_advisory_xact_lock(${advisoryLock})`))
      }
      // Asked first, because a role that may not make tables is refused even where there is nothing to make.
      if (!(await session.run(raw(ledgerIsThere))).length) await session.run(raw(ledger))
      const rows = (await session.run(raw('select tag from migrations', 'objects'))) as { tag: string }[]
      const applied = new Set(rows.map(({ tag }) => tag))
      const pending = steps.filter(({ tag }) => !applied.has(tag))
      for (const { tag, when, sql } of pending) {
        for (const statement of sql.split('--> statement-breakpoint')) await session.run(raw(statement))
        const text = `insert into migrations values (${dialect === 'postgres' ? '$1, $2' : '?, ?'})`
        await session.run({ text, params: [tag, when], shape: 'arrays' })
      }
      if (dialect === 'sqlite') {
        const broken = await session.run(raw('pragma foreign_key_check'))
        if (broken.length > 0)
          throw new Error(
            `The migration would leave ${broken.length} rows with broken foreign keys; nothing was changed.`,
          )
      }
      return pending.map(({ tag }) => tag)
    })
  } finally {
    if (dialect === 'sqlite') await root.session.run(raw('pragma foreign_keys = on'))
  }
}

const ledger = 'create table migrations (tag text primary key, created_at bigint not null)'
const ledgerIsThere =
  dialect === 'postgres'
    ? "select 1 where to_regclass('migrations') is not null"
    : "select 1 from sqlite_schema where type = 'table' and name = 'migrations'"

/** The tags of the steps that the database lacks, oldest first. Changes nothing. */
export async function lackingMigrations(root: Scope, steps: readonly Migration[] = migrations): Promise<string[]> {
  const [known] = await root.session.run(raw(ledgerIsThere))
  const rows = known === undefined ? [] : await root.session.run(raw('select tag from migrations', 'objects'))
  const applied = new Set((rows as { tag: string }[]).map(({ tag }) => tag))
  return steps.map(({ tag }) => tag).filter((tag) => !applied.has(tag))
}

const raw = (text: string, shape: 'arrays' | 'objects' = 'arrays') => ({
  text,
  params: [],
  shape,
  takesLong: true as const,
})
