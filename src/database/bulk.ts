import { type Column, getTableColumns, getTableName, type Table } from 'drizzle-orm'
import { dialect } from './dialect'
import { Scope } from './session'

/** What becomes of a row whose key is there already: numbers are added to its own, other columns replaced. */
export type Merge<Row> = { key: (keyof Row)[]; add: (keyof Row)[]; replace?: (keyof Row)[] }

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
  const statements = dialect === 'postgres' ? byColumn : byRow
  for (const [size, params] of statements(columns, rows))
    await scope.run({ text: textFor(table, columns, size, merge), params, shape: 'arrays' })
}

type Columns = readonly (readonly [name: string, Column])[]
type Row = Record<string, unknown>

/** Few sizes, so that each statement is prepared once: what is left over goes on in the next smaller one. */
const sizes = [256, 64, 16, 4, 1]

/** SQLite: a parameter for each value. */
function* byRow(columns: Columns, rows: readonly Row[]): Generator<[size: number, params: unknown[]]> {
  let at = 0
  while (at < rows.length) {
    const size = sizes.find((each) => each <= rows.length - at) ?? 1
    const params: unknown[] = []
    for (const row of rows.slice(at, at + size))
      for (const [name, column] of columns) params.push(encoded(row[name], column))
    yield [size, params]
    at += size
  }
}

/** Postgres: an array for each column, so that one statement serves for any number of rows. */
function* byColumn(columns: Columns, rows: readonly Row[]): Generator<[size: number, params: unknown[]]> {
  yield [rows.length, columns.map(([name, column]) => arrayOf(rows.map((row) => encoded(row[name], column))))]
}

/** As Postgres reads it (8.15.2, Array Value Input). */
const arrayOf = (values: readonly unknown[]): string => `{${values.map(element).join()}}`

function element(value: unknown): unknown {
  if (value === null) return 'NULL'
  const needsNoQuotes = typeof value === 'number' || (typeof value === 'string' && isPlain.test(value))
  return needsNoQuotes ? value : `"${String(value).replace(/["\\]/g, '\\$&')}"`
}

/** What ids are made of, and not the word null. */
const isPlain = /^[0-9a-f-]+$/

/** Text and numbers are stored as they are, on both databases. */
function encoded(value: unknown, column: Column): unknown {
  if (typeof value === 'string' || typeof value === 'number') return value
  if (value === null || value === undefined) return null
  return typeof value === 'bigint' ? value : column.mapToDriverValue(value)
}

const texts = new Map<string, string>()

function textFor<Row>(table: Table, columns: Columns, size: number, merge: Merge<Row> | undefined): string {
  const name = getTableName(table)
  const names = columns.map(([column]) => `"${column}"`).join(', ')
  const key = `${name} ${dialect === 'postgres' ? '' : size} ${names} ${merge ? 'merge' : ''}`
  const known = texts.get(key)
  if (known !== undefined) return known
  const rows = dialect === 'postgres' ? arrays(columns) : marks(columns.length, size)
  const text = `insert into "${name}" (${names}) ${rows}${conflict(name, merge)}`
  texts.set(key, text)
  return text
}

const marks = (columns: number, rows: number): string => {
  const row = `(${Array(columns).fill('?').join(', ')})`
  return `values ${Array(rows).fill(row).join(', ')}`
}

const arrays = (columns: Columns): string =>
  `select * from unnest(${columns.map(([, column], at) => `$${at + 1}::${column.getSQLType()}[]`).join(', ')})`

function conflict<Row>(table: string, merge: Merge<Row> | undefined): string {
  if (!merge) return ''
  const added = merge.add.map(
    (column) => `"${String(column)}" = "${table}"."${String(column)}" + excluded."${String(column)}"`,
  )
  const replaced = (merge.replace ?? []).map((column) => `"${String(column)}" = excluded."${String(column)}"`)
  const key = merge.key.map((column) => `"${String(column)}"`).join(', ')
  return ` on conflict (${key}) do update set ${[...added, ...replaced].join(', ')}`
}
