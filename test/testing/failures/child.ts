import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Failures are looked at on the kind of database that this run is on. */
export const backend = (process.env.DATABASE_URL ?? '').startsWith('postgres') ? 'postgres:embedded' : 'sqlite::memory:'

export const fixtures = join(import.meta.dir, '../fixtures')

export type Outcome = {
  exitCode: number
  pid: number
  /** What each test's failure says, by its name; '' for one that passed. */
  says: Record<string, string>
  /** All that a user sees. */
  output: string
  /** The same as a machine reads it. */
  junit: string
}

type Options = { database?: string; env?: Record<string, string>; args?: string[] }

/** `bun test` on a file of fixtures, in a process of its own. */
export async function bunTest(file: string, { database = backend, env, args = [] }: Options = {}): Promise<Outcome> {
  const scratch = mkdtempSync(join(tmpdir(), 'child-'))
  const report = join(scratch, 'report.xml')
  try {
    const child = Bun.spawn(
      [process.execPath, 'test', `./${file}`, '--reporter=junit', `--reporter-outfile=${report}`, ...args],
      {
        cwd: fixtures,
        env: childEnv({ TESTING_DATABASE_URL: database, ...env }),
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    const exitCode = await child.exited
    const junit = await Bun.file(report)
      .text()
      .catch(() => '')
    return { exitCode, pid: child.pid, says: verdicts(error), output: error + out, junit }
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

/** The environment of a run of its own: not that of a worker of this one, and not its database. */
export function childEnv(env: Record<string, string>): Record<string, string | undefined> {
  const own = { BUN_TEST_WORKER_ID: undefined, JEST_WORKER_ID: undefined, DATABASE_URL: undefined }
  return {
    ...process.env,
    ...own,
    TESTING_KEEP_DATABASE: undefined,
    NO_COLOR: '1',
    ...env,
  }
}

/** bun prints a failure, then the name of its test; a passed one is a line alone. */
function verdicts(output: string): Record<string, string> {
  const says: Record<string, string> = {}
  let lines: string[] = []
  for (const line of output.split('\n')) {
    const verdict = /^\((pass|fail)\) (.*?)(?: \[[\d.]+m?s\])?$/.exec(line)
    if (!verdict) {
      lines.push(line)
      continue
    }
    says[verdict[2] ?? ''] = verdict[1] === 'pass' ? '' : lines.join('\n')
    lines = []
  }
  return says
}
