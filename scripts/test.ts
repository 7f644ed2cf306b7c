import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Runs the tests and those of the examples on SQLite, then on a real PostgreSQL; fails if any failed. Arguments are handed
 * to `bun test`; where they name files, the examples are left out.
 */
const backends = { SQLite: 'sqlite::memory:', PostgreSQL: 'postgres:embedded' }

const args = process.argv.slice(2)
const roots = args.every((argument) => argument.startsWith('-')) ? ['.', 'examples/notes'] : ['.']

const folder = mkdtempSync(join(tmpdir(), 'tenantry-test-'))
const sum = { passed: 0, failed: 0, skipped: 0 }
let failed = false

for (const [name, url] of Object.entries(backends)) {
  for (const root of roots) {
    console.log(`\n${name}${root === '.' ? '' : `, ${root}`}`)
    const report = join(folder, `${name}-${root.replace('/', '-')}.xml`)
    const run = Bun.spawn([process.execPath, 'test', '--reporter=junit', `--reporter-outfile=${report}`, ...args], {
      cwd: join(import.meta.dir, '..', root),
      env: { ...process.env, TESTING_DATABASE_URL: url },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    failed = (await run.exited) !== 0 || failed
    const counted = /<testsuites[^>]*\btests="(\d+)"[^>]*\bfailures="(\d+)"[^>]*\bskipped="(\d+)"/.exec(
      readFileSync(report, 'utf8'),
    )
    const [tests, failures, skipped] = (counted ?? []).slice(1).map(Number)
    if (tests === undefined || failures === undefined || skipped === undefined || tests === 0)
      throw new Error(`The run on ${name} in ${root} reported no tests.`)
    sum.passed += tests - failures - skipped
    sum.failed += failures
    sum.skipped += skipped
  }
}

rmSync(folder, { recursive: true })
// A run that fails without a failing test (an error between tests) must not read as a success.
if (failed && sum.failed === 0) sum.failed = 1
console.log(`\n${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`)
process.exit(failed ? 1 : 0)
