import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Migration } from './migrate'

/** Runs while the program is bundled or transpiled: the text of every migration becomes part of it. */
export function readMigrations(dialect: string): Migration[] {
  const folder = join(import.meta.dir, '../../drizzle', dialect)
  const journal = JSON.parse(readFileSync(join(folder, 'meta/_journal.json'), 'utf8')) as {
    entries: { tag: string; when: number }[]
  }
  return journal.entries.map(({ tag, when }) => ({ tag, when, sql: readFileSync(join(folder, `${tag}.sql`), 'utf8') }))
}
