import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { number, quick, report, show, spread, verdict } from './support/measure'
import { root } from './support/processes'
import { recordFlow } from './support/recording'

const isPostgres = process.argv.includes('--postgres')
const tests = quick ? 100 : 500
const rounds = quick ? 2 : 9

// The kit runs inside `bun test` only; the file writes what its groups took.
const folder = mkdtempSync(join(tmpdir(), 'tenantry-bench-'))
const results = join(folder, 'results.json')
const url = isPostgres ? 'postgres:embedded' : 'sqlite::memory:'
const run = Bun.spawnSync([process.execPath, 'test', './bench/support/isolation.test.ts'], {
  cwd: root,
  env: {
    ...process.env,
    TESTING_DATABASE_URL: url,
    BENCH_RESULTS: results,
    BENCH_FLOW: recordFlow(url, folder),
    BENCH_TESTS: String(tests),
    BENCH_ROUNDS: String(rounds),
  },
  stdout: 'pipe',
  stderr: 'pipe',
})
if (!run.success) throw new Error(run.stderr.toString().slice(-3000))
type Group = 'plain' | 'empty' | 'fork' | 'hand' | 'alone' | 'create' | 'chat' | 'list' | 'flow'
const msPerTest: Record<Group, number[]> = JSON.parse(readFileSync(results, 'utf8'))
rmSync(folder, { recursive: true })

const without = (other: Group, all: number[]) => all.map((ms, round) => ms - (msPerTest[other][round] ?? Number.NaN))
const [isolation, fork] = [spread(without('plain', msPerTest.empty)), spread(without('plain', msPerTest.fork))]
const limits = isPostgres ? { savepoint: 1, fork: 30 } : { savepoint: 0.05, fork: 1 }
const row = (name: string, ms: number[], target = '') => [name, show(spread(ms), 3), target]
report(
  `Isolation of tests, ${isPostgres ? 'embedded PostgreSQL' : 'SQLite'}`,
  `ms for each test, the runner included. Median (min to max) of ${rounds} rounds of ${number(tests, 0)} tests.`,
  ['', 'ms', 'target'],
  [
    row("an empty test of bun:test's", msPerTest.plain),
    row("an empty test of the kit's", msPerTest.empty),
    [
      'opening a world and rolling it back',
      show(isolation, 3),
      verdict(isolation.median, 'at most', limits.savepoint, 'ms'),
    ],
    ['opening a forked world and removing it', show(fork, 3), verdict(fork.median, 'at most', limits.fork, 'ms')],
    row('creates a conversation', msPerTest.create),
    row('chats', msPerTest.chat),
    row('lists', msPerTest.list),
    row('the floor: the statements of all three by hand, no framework, no kit', msPerTest.hand),
    row('the service alone: it answers all three, in a transaction that is rolled back, no kit', msPerTest.alone),
    row(
      'creates, chats and lists',
      msPerTest.flow,
      verdict(spread(msPerTest.flow).median, 'at most', isPostgres ? 4 : 0.6, 'ms'),
    ),
    row('what the kit adds to the service alone', without('alone', msPerTest.flow)),
  ],
)
