import { type Static, Type } from '@sinclair/typebox'
import type { Column } from 'drizzle-orm'
import type { TenantTable } from '../database/catalogue'
import { migrations } from '../database/migrations'
import type { tenant_plugins } from '../database/tables'
import { malformed } from '../errors'
import { isId } from '../ids'
import { oneOf, shape } from '../schema'
import { hasForm } from './forms'

// An archive is lines of JSON: a header, and then each row of the tenant, table by table. It says the same whichever
// database wrote it.

export const format = 'tenantry tenant'
export const formatVersion = 1

/** The newest migration; both databases have the same names for theirs. */
export const newestSchema = migrations.at(-1)?.tag ?? ''

export const Header = shape({
  format: Type.Literal(format),
  version: Type.Literal(formatVersion),
  /** The newest migration of the database it was written from. */
  schema: Type.String({ maxLength: 200 }),
  exported_at: Type.String({ maxLength: 40 }),
  tenant: shape({ id: Type.String(), slug: Type.String(), name: Type.String() }),
  secrets: oneOf('none', 'sealed', 'left out'),
  note: Type.String(),
  /** Rows by table. */
  counts: Type.Record(Type.String({ pattern: '^[a-z_]{1,63}$' }), Type.Integer({ minimum: 0 }), {
    additionalProperties: false,
  }),
})
export type Header = Static<typeof Header>

export const notes: Record<Header['secrets'], string> = {
  none: 'No plugin of this tenant has secrets.',
  sealed:
    'Secrets are sealed, for this tenant id: they open with the ENCRYPTION_KEY that sealed them and with no other.',
  'left out': 'Secrets were left out, and the plugins that had some are disabled.',
}

/** One row on the wire, by column. */
export type Row = Record<string, unknown>

/** Dates become text by JSON; all else is what it is. */
export const lineOf = (table: string, row: Row): string => `${JSON.stringify({ table, row })}\n`

/** Its plugins with secrets would only fail without them. */
export const withoutSecrets = (table: string, row: Row): Row =>
  table === tableWithSecrets && row.sealed_secrets !== null
    ? { ...row, sealed_secrets: null, key_id: null, is_enabled: false }
    : row

export const tableWithSecrets = 'tenant_plugins' satisfies (typeof tenant_plugins)['_']['name']

/** A row as the database takes it. Throws what is wrong with it, by name and never by value. */
export function readRow({ name: table, columns }: TenantTable, given: Row): Row {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(columns, name))
      throw malformed(`${table} has no column ${/^[a-z_]{1,63}$/.test(name) ? name : 'of that name'}`)
  }
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => {
      const value = Object.hasOwn(given, name) ? given[name] : otherwise(table, name, column)
      if (value === null && !column.notNull) return [name, null]
      const read = readers[column.dataType]?.(value)
      if (read === undefined || (isIdColumn(name) && !isId(String(read))) || !hasForm(table, name, read))
        throw malformed(`${table}.${name} is not what it has to be`)
      return [name, read]
    }),
  )
}

/** Of a column that is newer than the archive. */
function otherwise(table: string, name: string, column: Column): unknown {
  if (column.hasDefault) return column.default
  if (!column.notNull) return null
  throw malformed(`${table}.${name} is missing`)
}

/** SQLite keeps ids as text, so it would take anything for one. */
export const isIdColumn = (name: string): boolean =>
  name === 'id' || (name.endsWith('_id') && name !== 'external_id' && name !== 'key_id')

const readers: Record<string, (value: unknown) => unknown> = {
  string: (value) => (typeof value === 'string' ? value : undefined),
  // All are counts, sizes or limits.
  number: (value) => (Number.isSafeInteger(value) && Number(value) >= 0 ? value : undefined),
  boolean: (value) => (typeof value === 'boolean' ? value : undefined),
  date: (value) => (typeof value === 'string' && instant.test(value) ? realDate(value) : undefined),
  json: (value) => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined),
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

const realDate = (text: string): Date | undefined => {
  const date = new Date(text)
  return Number.isNaN(date.getTime()) || date.toISOString() !== text ? undefined : date
}
