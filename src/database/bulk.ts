import { type Column, getTableColumns, getTableName, type Table } from 'drizzle-orm'
import { dialect } from './dialect'
import { Scope } from './session'

/** What becomes of a row whose key is there already: numbers are added to its own, other columns replaced. */
export type Merge<Row> = { key: (keyof Row)[]; add: (keyof Row)[]; replace?: (keyof Row)[] }

/** Few sizes, so that each statement is prepared once: what is left over goes on in the next smaller one. */
const sizes = [256, 64, 16, 4, 1]

/**
 * Writes rows by the hundred. Drizzle takes ten times as long to build such a statement as SQLite to run it, so these are
 * built once for a table and a number of rows. All rows have the same columns. Belongs in a transaction.
 */
export async function insertAll<T extends Table>(
  table: T,
  rows: readonly T['$inferInsert'][],
  merge?: Merge<T['$inferInsert']>,
): Promise<void> {
  const [first] = rows
  if (!first) return
  const scope = Scope.current()
  if (!scope) throw new Error('Many rows are inserted in a transaction, and there is none.')
  const columns = Object.entries(getTableColumns(table)).filter(([name]) => name in first)
  let at = 0
  while (at < rows.length) {
    const size = sizes.find((each) => each <= rows.length - at) ?? 1
    const params: unknown[] = []
    for (let n = at; n < at + size; n++) {
      const values = rows[n] as Record<string, unknown>
      for (const [name, column] of columns) params.push(encoded(values[name], column))
    }
    await scope.run({ text: textFor(table, columns, size, merge), params, shape: 'arrays' })
    at += size
  }
}

/** Text and numbers are stored as they are, on both databases. */
function encoded(value: unknown, column: Column): unknown {
  if (typeof value === 'string' || typeof value === 'number') return value
  if (value === null || value === undefined) return null
  return typeof value === 'bigint' ? value : column.mapToDriverValue(value)
}

const texts = new Map<string, string>()

function textFor<Row>(
  table: Table,
  columns: readonly (readonly [string, Column])[],
  size: number,
  merge: Merge<Row> | undefined,
): string {
  const name = getTableName(table)
  const key = `${name} ${size} ${columns.map(([column]) => column).join()} ${merge ? 'merge' : ''}`
  const known = texts.get(key)
  if (known !== undefined) return known
  const mark = (at: number) => (dialect === 'postgres' ? `$${at + 1}` : '?')
  const row = (n: number) => `(${columns.map((_, at) => mark(n * columns.length + at)).join(', ')})`
  const values = Array.from({ length: size }, (_, n) => row(n)).join(', ')
  const text = `insert into "${name}" (${columns.map(([column]) => `"${column}"`).join(', ')}) values ${values}${conflict(name, merge)}`
  texts.set(key, text)
  return text
}

function conflict<Row>(table: string, merge: Merge<Row> | undefined): string {
  if (!merge) return ''
  const added = merge.add.map(
    (column) => `"${String(column)}" = "${table}"."${String(column)}" + excluded."${String(column)}"`,
  )
  const replaced = (merge.replace ?? []).map((column) => `"${String(column)}" = excluded."${String(column)}"`)
  const key = merge.key.map((column) => `"${String(column)}"`).join(', ')
  return ` on conflict (${key}) do update set ${[...added, ...replaced].join(', ')}`
}
