import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Runs the tests and those of the examples on SQLite and on a real PostgreSQL; fails if any failed. Both run at the same
 * time, because tests wait half of theirs (for processes, locks, timeouts), and are printed one after the other; what failed
 * stands at the end once more. Arguments are handed to `bun test`; where they name files, the examples are left out.
 */
const backends = { SQLite: 'sqlite::memory:', PostgreSQL: 'postgres:embedded' }

// Longer than Bun's five seconds: two runs share a machine here, which may be a slow one, and a test has no say in that.
const args = ['--timeout=60000', ...process.argv.slice(2)]
const roots = args.every((argument) => argument.startsWith('-')) ? ['.', 'examples/notes'] : ['.']

const folder = mkdtempSync(join(tmpdir(), 'tenantry-test-'))
const sum = { passed: 0, failed: 0, skipped: 0 }

type Failure = { names: string[]; text: string }

let before: Promise<unknown> = Promise.resolve()
const runs = Object.entries(backends).map(([name, url]) => {
  const run = onBackend(name, url, before)
  before = run
  return run
})
const failures = (await Promise.all(runs)).flat()

rmSync(folder, { recursive: true })
for (const { text } of failures) console.log(`\n${text}`)
if (failures.length > 0) console.log(`\n${failures.flatMap(({ names }) => names).join('\n')}`)
console.log(`\n${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`)
process.exitCode = sum.failed > 0 ? 1 : 0

/** Keeps what it has to print until `turn`, and prints at once from then on. */
async function onBackend(name: string, url: string, turn: Promise<unknown>): Promise<Failure[]> {
  const failures: Failure[] = []
  for (const root of roots) {
    const title = `${name}${root === '.' ? '' : `, ${root}`}`
    turn.then(() => console.log(`\n${title}`))
    const report = join(folder, `${title.replaceAll(/\W/g, '-')}.xml`)
    const run = Bun.spawn([process.execPath, 'test', '--reporter=junit', `--reporter-outfile=${report}`, ...args], {
      cwd: join(import.meta.dir, '..', root),
      env: { ...process.env, ...(process.stderr.isTTY && { FORCE_COLOR: '1' }), TESTING_DATABASE_URL: url },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [, results] = await Promise.all([passOn(run.stdout, process.stdout), passOn(run.stderr, process.stderr)])
    const exitCode = await run.exited
    const counted = /<testsuites[^>]*\btests="(\d+)"[^>]*\bfailures="(\d+)"[^>]*\bskipped="(\d+)"/.exec(
      existsSync(report) ? readFileSync(report, 'utf8') : '',
    )
    const [tests = 0, failing = 0, skipped = 0] = (counted ?? []).slice(1).map(Number)
    sum.passed += tests - failing - skipped
    sum.skipped += skipped
    // A run that fails without a failing test (an error between tests), or has none, must not read as a success.
    const failed = exitCode !== 0 || tests === 0
    sum.failed += failed ? Math.max(failing, 1) : 0
    const found = failuresIn(results, title)
    if (failed && found.length === 0)
      found.push({ names: [`${title}: ${tests} tests, exit code ${exitCode}`], text: results.trim() })
    failures.push(...found)
  }
  await turn
  return failures

  async function passOn(from: ReadableStream<Uint8Array<ArrayBuffer>>, to: NodeJS.WriteStream): Promise<string> {
    const chunks: Uint8Array<ArrayBuffer>[] = []
    for await (const chunk of from) {
      chunks.push(chunk)
      turn.then(() => to.write(chunk))
    }
    return new Blob(chunks).text()
  }
}

/** What failed, by file: all that Bun printed between two tests that did not fail, and the lines that name who did. */
function failuresIn(results: string, title: string): Failure[] {
  // After a long run, Bun lists at the end once more what did not pass, by name.
  const [said = ''] = Bun.stripANSI(results).split(/^\d+ tests (?:skipped|todo|failed):$/m)
  const [beforeFirst = '', ...filesAndTexts] = said.split(/^(\S+\.test\.tsx?):$/m)
  const found: Failure[] = []
  for (const [at, part] of [beforeFirst, ...filesAndTexts].entries()) {
    const where = at === 0 ? title : `${title}, ${filesAndTexts[at - 2]}`
    for (const text of part.split(/^(?:\((?:pass|skip|todo)\) .*| +\d+ pass$[\s\S]*)$/m)) {
      const names = text.match(/^(?:\(fail\) .*|# Unhandled error between tests)$/gm) ?? []
      if (names.length > 0)
        found.push({ names: names.map((name) => `${where}: ${name}`), text: `${where}:\n${text.trim()}` })
    }
  }
  return found
}
