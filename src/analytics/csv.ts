/**
 * One line of RFC 4180. A spreadsheet takes a cell that begins with one of these for a formula, so such text gets an
 * apostrophe before it (owasp.org, "CSV Injection"). Numbers of ours are written as they are.
 */
export const csvLine = (cells: readonly (string | number | null)[]): string => `${cells.map(cell).join(',')}\r\n`

function cell(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = formula.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Spreadsheets skip what is blank before a formula, and take the full-width signs for the plain ones. */
const formula = /^\s*[=+\-@\t\r\n|\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/
