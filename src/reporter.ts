import type { LogLevel } from './config'
import { AppError } from './errors'

type Fields = Record<string, string | number | boolean | undefined>

/** Where the service says what happened. Fields hold ids and numbers, never tokens, bodies or header values. */
export type Reporter = {
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  /** Something that nobody foresaw; in a test it fails the test that caused it. */
  unexpected(error: unknown, fields?: Fields): void
}

const weight: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 }

/** One line for each event: JSON in production, words in development. */
export function lineReporter(
  level: LogLevel,
  format: 'json' | 'words',
  write: (line: string) => void = (line) => void process.stderr.write(line),
): Reporter {
  const report = (at: Exclude<LogLevel, 'silent'>, message: string, fields: Fields = {}) => {
    if (weight[at] < weight[level]) return
    const line =
      format === 'json'
        ? JSON.stringify({ time: new Date().toISOString(), level: at, message, ...fields })
        : `${at} ${printable(message)}${Object.entries(fields)
            .map(([name, value]) => (value === undefined ? '' : ` ${name}=${printable(String(value))}`))
            .join('')}`
    write(`${line}\n`)
  }
  return {
    info: (message, fields) => report('info', message, fields),
    warn: (message, fields) => report('warn', message, fields),
    unexpected: (error, fields) => report('error', describe(error), { ...fields, at: place(error) }),
  }
}

/** One line stays one line, and a terminal does nothing because of it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes
const printable = (text: string) => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')

/** An error in words without data: a database's message quotes the values it refused, and Drizzle's lists all parameters. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'Something was thrown that is not an error'
  const cause = error.cause === undefined ? '' : `; because: ${describe(error.cause)}`
  if (error instanceof AppError) return `${error.code}: ${error.message}${cause}`
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : ''
  const fromDatabase = /^(DrizzleQueryError|DrizzleError|PostgresError|SQLiteError)$/.test(error.constructor.name)
  if (!fromDatabase) return `${error.name}${code}: ${error.message}${cause}`
  const statement = /^Failed query: ([^\n]*)/.exec(error.message)?.[1]
  return `${error.constructor.name}${code}${statement ? ` in ${statement}` : ''}${cause}`
}

/** The first line of the stack that is ours. */
const place = (error: unknown) =>
  error instanceof Error ? /\n\s+at [^\n]*?((?:src|test)\/[^\n)]+)/.exec(error.stack ?? '')?.[1] : undefined
