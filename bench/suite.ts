import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { interleaved, quick, report, show, spread, verdict } from './support/measure'
import { root } from './support/processes'
import { recordFlow } from './support/recording'

const rounds = quick ? 2 : 9
const flows = ['test/integration/api-flow.test.ts', 'test/integration/auth-flow.test.ts']
const watched = 'test/integration/watched.test.ts'

/** ms of a whole `bun test`, and how many tests it ran. Throws when one fails. */
async function whole(args: readonly string[], env: Record<string, string>): Promise<{ ms: number; tests: number }> {
  const startedAt = performance.now()
  const run = Bun.spawn([process.execPath, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const said = await new Response(run.stderr).text()
  if ((await run.exited) !== 0) throw new Error(said.slice(-3000))
  return { ms: performance.now() - startedAt, tests: Number(/Ran (\d+) tests/.exec(said)?.[1]) }
}

const kit = (url: string, files: readonly string[]) => whole(['test', ...files], { TESTING_DATABASE_URL: url })

/** The statements of three requests in each of as many tests, with nothing of the project's around them. */
const byHand = (flow: string, tests: number) =>
  whole(['--config=bench/support/floor.toml', 'test', './bench/support/floor.test.ts'], {
    BENCH_FLOW: flow,
    BENCH_TESTS: String(tests),
  })

/** ms from saving a test file to its verdict in `bun test --watch`, several times. */
async function watch(times: number): Promise<number[]> {
  const file = join(root, watched)
  copyFileSync(join(root, 'test/integration/cors.test.ts'), file)
  const run = Bun.spawn([process.execPath, 'test', '--watch', '--no-clear-screen', watched], {
    cwd: root,
    env: { ...process.env, TESTING_DATABASE_URL: 'sqlite::memory:' },
    stdout: 'ignore',
    stderr: 'pipe',
  })
  try {
    const reader = run.stderr.getReader()
    const verdictOf = async () => {
      for (let said = ''; !/Ran \d+ tests/.test(said); ) {
        const { value, done } = await reader.read()
        if (done) throw new Error(`The watch ended:\n${said}`)
        said += Buffer.from(value).toString()
      }
    }
    await verdictOf()
    const ms: number[] = []
    for (let n = 0; n < times; n++) {
      await Bun.sleep(300) // as a person would, after the verdict
      const savedAt = performance.now()
      appendFileSync(file, `// ${n}\n`)
      await verdictOf()
      ms.push(performance.now() - savedAt)
    }
    return ms
  } finally {
    run.kill('SIGKILL')
    await run.exited
    rmSync(file)
  }
}

const [sqlite, postgres] = ['sqlite::memory:', 'postgres:embedded']
const folder = mkdtempSync(join(tmpdir(), 'tenantry-bench-'))
const [flow, flowPostgres] = [recordFlow(sqlite, folder), recordFlow(postgres, folder)]
const { tests } = await kit(sqlite, flows)
await kit(postgres, flows) // the very first run on a machine makes what all others copy
const runs = await interleaved(rounds, {
  one: () => kit(sqlite, ['./bench/support/empty.test.ts']),
  floor: () => byHand(flow, tests),
  sqlite: () => kit(sqlite, flows),
  onePostgres: () => kit(postgres, ['./bench/support/empty.test.ts']),
  floorPostgres: () => byHand(flowPostgres, tests),
  postgres: () => kit(postgres, flows),
})
rmSync(folder, { recursive: true })
const seconds = (of: { ms: number }[]) => spread(of.map(({ ms }) => ms / 1000))
const saved = spread(await watch(rounds))
const lines = readFileSync(join(root, 'test/integration/cors.test.ts'), 'utf8').split('\n').length

report(
  'Test runs',
  `Whole processes, s: from starting \`bun test\` to its end, the database server included. Median (min to max) of ${rounds}.`,
  ['', 's', 'target'],
  [
    ['one empty test, SQLite', show(seconds(runs.one), 2), ''],
    [`the floor: ${tests} tests by hand, no framework, no kit, SQLite`, show(seconds(runs.floor), 2), ''],
    [
      `the flows of the API and of authentication (${tests} tests), SQLite`,
      show(seconds(runs.sqlite), 2),
      verdict(seconds(runs.sqlite).median, 'at most', 0.35, 's'),
    ],
    ['one empty test, PostgreSQL', show(seconds(runs.onePostgres), 2), ''],
    ['the floor on PostgreSQL, its start included', show(seconds(runs.floorPostgres), 2), ''],
    [
      'the same flows, PostgreSQL',
      show(seconds(runs.postgres), 2),
      verdict(seconds(runs.postgres).median, 'at most', 0.7, 's'),
    ],
    [
      `from saving a test file of ${lines} lines to its verdict in watch mode, ms`,
      show(saved, 0),
      verdict(saved.median, 'at most', 300, 'ms'),
    ],
  ],
)
