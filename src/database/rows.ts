import {
  Column,
  type DriverValueDecoder,
  DrizzleQueryError,
  is,
  noopDecoder,
  Param,
  Placeholder,
  SQL,
} from 'drizzle-orm'
import type { RunStatement } from './database'

type Query = { readonly sql: string; readonly params: readonly unknown[] }
type Decoder = DriverValueDecoder<unknown, unknown>
/** What a statement returns: a value, and where in a row's object it goes. */
type Field = { readonly path: readonly string[]; readonly field: unknown }
/** What the sessions of Drizzle's drivers have in common. */
type DriverSession = { prepareQuery(query: Query, fields: readonly Field[] | undefined, ...more: never[]): object }

/**
 * Has a driver find out once for each statement how its parameters are filled in and its rows are read. Drizzle does it
 * again for every value of every row, which takes as long as SQLite does to find them. `method` is what the driver runs
 * statements with that return rows; what a row has objects in is left to Drizzle.
 */
export function readRowsQuickly(session: object, method: 'all' | 'execute', run: RunStatement): void {
  const driver = session as DriverSession
  const prepare = driver.prepareQuery.bind(driver)
  driver.prepareQuery = (query, fields, ...more) => {
    const prepared = prepare(query, fields, ...more)
    const read = fields && rowReader(fields)
    return read ? Object.assign(prepared, { [method]: reading(query, read, run) }) : prepared
  }
}

function reading<Row>({ sql: text, params }: Query, read: (row: unknown) => Row, run: RunStatement) {
  const fill = filling(params)
  return async (values: Record<string, unknown> = {}): Promise<Row[]> => {
    const filled = fill(values)
    const rows = await run({ text, params: filled, shape: 'arrays' }).catch((error) => {
      throw new DrizzleQueryError(text, filled, error)
    })
    return rows.map(read)
  }
}

/** Values of a run in the order of a statement's parameters. */
function filling(params: readonly unknown[]): (values: Record<string, unknown>) => unknown[] {
  const parts = params.map((param) => {
    if (is(param, Placeholder)) return { name: param.name as string }
    if (is(param, Param) && is(param.value, Placeholder))
      return { name: param.value.name as string, encoder: param.encoder }
    return { value: param }
  })
  return (values) =>
    parts.map(({ name, value, encoder }) => {
      if (name === undefined) return value
      if (!(name in values)) throw new Error(`No value for placeholder "${name}" was provided`)
      return encoder ? encoder.mapToDriverValue(values[name]) : values[name]
    })
}

/** Undefined for rows that this does not know how to read. */
function rowReader(fields: readonly Field[]): ((row: unknown) => Record<string, unknown>) | undefined {
  const columns: { name: string; decoder: Decoder | undefined }[] = []
  for (const { path, field } of fields) {
    const [name, ...deeper] = path
    const decoder = decoderOf(field)
    if (name === undefined || deeper.length > 0 || !decoder) return undefined
    columns.push({ name, decoder: isPlain(decoder) ? undefined : decoder })
  }
  return (row) => {
    const values = row as readonly unknown[]
    const read: Record<string, unknown> = {}
    let at = 0
    for (const { name, decoder } of columns) {
      const value = values[at++]
      read[name] = decoder && value !== null ? decoder.mapFromDriverValue(value) : value
    }
    return read
  }
}

function decoderOf(field: unknown): Decoder | undefined {
  if (is(field, Column)) return field
  if (is(field, SQL.Aliased)) return decoderOf(field.sql)
  return is(field, SQL) ? (field as unknown as { decoder: Decoder }).decoder : undefined
}

/** True where the driver's value is the row's. */
const isPlain = ({ mapFromDriverValue }: Decoder): boolean =>
  mapFromDriverValue === Column.prototype.mapFromDriverValue || mapFromDriverValue === noopDecoder.mapFromDriverValue
