import type { Ledger } from './ledger'

/** All that went wrong in one test, as the one error that bun shows. The first failure keeps its stack and its diff. */
export function failureOf(
  failures: readonly unknown[],
  unexpected: readonly unknown[],
  ledger: Ledger,
  kept: string | undefined,
): Error | undefined {
  const foreign = distinct(unexpected)
  const [first, ...more] = failures
  if (failures.length === 0 && foreign.length === 0) return undefined
  const error = failures.length === 0 ? new Error('', { cause: foreign[0] }) : asError(first)

  const notes: string[] = []
  if (foreign.length > 0) {
    notes.push(
      `The app had ${foreign.length === 1 ? 'an unexpected error' : `${foreign.length} unexpected errors`} that the test did not take:\n${foreign.map(describe).join('\n')}\nRepair the app, or take it with takeErrors() where the test means it to happen.`,
    )
  }
  const after = new Set(more.map((other) => asError(other).message))
  after.delete(error.message)
  notes.push(...[...after].map((message) => `And after that: ${message}`))
  const story = ledger.format()
  if (story !== '') notes.push(`What the test did:\n${story}`)
  if (kept !== undefined) notes.push(`Its database was kept: ${kept}`)
  error.message = [error.message, ...notes].filter((part) => part !== '').join('\n\n')
  return error
}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(`Something was thrown that is not an Error: ${Bun.inspect(thrown)}`)

/** Each once: what one error has as its cause is told with it. */
function distinct(errors: readonly unknown[]): unknown[] {
  const all = [...new Set(errors)]
  return all.filter((error) => !all.some((other) => other !== error && causesOf(other).includes(error)))
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = []
  for (let at = error; at instanceof Error && at.cause !== undefined && !causes.includes(at.cause); at = at.cause)
    causes.push(at.cause)
  return causes
}

function describe(error: unknown): string {
  const chain = [error, ...causesOf(error)].map((at) =>
    at instanceof Error ? `${at.name}: ${at.message}` : Bun.inspect(at),
  )
  const frame = error instanceof Error ? ownFrame.exec(error.stack ?? '')?.[1] : undefined
  return `  ${chain.join('\n    because of ')}${frame ? `\n    at ${frame.replace(`${process.cwd()}/`, '')}` : ''}`
}

/** The first line of a stack that is neither of a package nor of the runtime. */
const ownFrame = /\n\s+at (?![^\n]*(?:node_modules|\b(?:native|node|bun|internal):))([^\n]+)/
