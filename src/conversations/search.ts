import { type SQL, sql } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import { integer, table } from '../database/columns'
import type { Database } from '../database/database'
import { dialect } from '../database/dialect'
import { conversations } from '../database/tables'
import { invalid } from '../errors'
import { mostWords } from './schema'

/** SQLite only: what is not indexed yet, because it costs as much to index one message as many. See drizzle/sqlite/0010_search_in_batches.sql. */
const waiting = table('conversation_search_waiting', { id: integer().primaryKey() })

/**
 * The conversations whose title, or one of whose messages, has all the words of `q`; the last word may be a beginning.
 * Only letters and digits of `q` count, so no text is a syntax error and none is syntax. Undefined when it has none. Throws
 * invalid_request where it has more than `mostWords` different words.
 * The index is kept by the database itself: triggers on SQLite, generated columns on Postgres (drizzle/*\/0001_search.sql).
 */
export async function matching(database: Database, { tenant_id }: Principal, q: string): Promise<SQL | undefined> {
  const words = different(q.normalize('NFC').match(/[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu) ?? [])
  if (words.length === 0) return undefined
  if (words.length > mostWords)
    throw invalid([{ in: 'query', path: '/q', message: `must have at most ${mostWords} different words` }])
  if (dialect === 'postgres') return tsvector(tenant_id, words)
  // Whoever leaves is indexed, by a trigger. Looked at before, because to delete nothing takes the lock of who writes, too.
  if ((await database.select().from(waiting).limit(1)).length > 0) await database.delete(waiting)
  return fts5(tenant_id, words)
}

/** Each once, where it was said last, because the last may be a beginning. */
const different = (words: readonly string[]) => words.filter((word, at) => words.lastIndexOf(word) === at)

function fts5(tenant_id: string, words: string[]): SQL {
  const all = expression(words, { quote: '"', beginning: '*', and: ' AND ', or: ' OR ' })
  const match = `scope : t${tenant_id.replaceAll('-', '')} AND words : (${all})`
  return sql`${conversations.id} in (select conversation_id from conversation_search where conversation_search match ${match})`
}

function tsvector(tenant_id: string, words: string[]): SQL {
  const all = expression(words, { quote: "'", beginning: ':*', and: ' & ', or: ' | ' })
  const tenant = `'=${tenant_id.replaceAll('-', '')}'`
  // Split at what the columns are split at: a mark may be none of Postgres's letters. Parts have to follow each other then,
  // and what ends with such a mark is no beginning, but a whole part.
  const split = sql`regexp_replace(${all}, '[^[:alnum:]'':*&|() ]+', ' ', 'g')`
  const asked = sql`to_tsquery('simple', regexp_replace(${split}, '([[:alnum:]]) '':[*]', '\\1''', 'g'))`
  // Of signs that are no letters to Postgres, nothing may be left: then nothing has them, and not everything.
  const found = sql`numnode(${asked}) > 0 and search @@ (${asked} && ${tenant}::tsquery)`
  return sql`${conversations.id} in (
    select titled.id from conversations titled where titled.tenant_id = ${tenant_id} and ${found}
    union select said.conversation_id from messages said where said.tenant_id = ${tenant_id} and ${found})`
}

type Syntax = { quote: string; beginning: string; and: string; or: string }

/** What is stored is as it was written, so a word is looked for with its accents in its letters and with accents apart. */
function expression(words: string[], { quote, beginning, and, or }: Syntax): string {
  const all = words.map((word, at) => {
    const end = at === words.length - 1 ? quote + beginning : quote
    return `(${[...new Set([word, word.normalize('NFD')])].map((written) => quote + written + end).join(or)})`
  })
  return all.join(and)
}
