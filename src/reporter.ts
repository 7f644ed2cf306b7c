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
        ? JSON.stringify({ time: new Date().toISOString(), level: at, message, ...fields }).replace(control, escaped)
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

/** Of a failed request, what an operator should see: a defect, or the outage behind it. What callers did wrong is theirs. */
export function reportFailure(reporter: Reporter, error: AppError, fields: Fields): void {
  const { cause, retryAfterSeconds } = error.facts
  if (error.code === 'internal' && retryAfterSeconds === undefined) reporter.unexpected(cause ?? error, fields)
  else if (/^(internal|provider_)/.test(error.code) && cause !== undefined) reporter.warn(describe(error), fields)
}

/** What ends a line or moves a terminal's cursor. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g
const printable = (text: string) => text.replace(control, ' ')
/** JSON escapes the first 32 of them by itself. */
const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** An error in words without data: a database's message quotes the values it refused, and Drizzle's lists all parameters. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'Something was thrown that is not an error'
  const cause = error.cause === undefined ? '' : `; because: ${describe(error.cause)}`
  if (error instanceof AppError) return `${error.code}: ${error.message}${cause}`
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : ''
  // Drizzle names only the class, Bun's SQLite only the object.
  const name = error.name === 'Error' ? error.constructor.name : error.name
  const statement = /^Failed query: ([^\n]*)/.exec(error.message)?.[1]
  // By what is in it too, because a bundler may rename a class.
  const isNamed = /^(DrizzleError|PostgresError|SQLiteError)$/.test(name)
  const fromDatabase = isNamed || statement !== undefined || 'severity_local' in error
  if (!fromDatabase) return `${name}${code}: ${error.message}${cause}`
  return `${name}${code}${statement ? ` in ${statement}` : ''}${cause}`
}

/** The first line of the stack that is ours. Not \s: the stack begins with the message, and that may be full of line breaks. */
const place = (error: unknown) =>
  error instanceof Error
    ? /\n[ \t]+at (?![^\n]*node_modules)[^\n]*?((?:src|test)\/[^\n)]+)/.exec(error.stack ?? '')?.[1]
    : undefined
