import { mkdirSync, readFileSync } from 'node:fs'

/**
 * Runs the tests with coverage on both databases, writes what they cover together (a table, and coverage/lcov.info), and
 * fails when fewer lines of src/ are covered than here. Ours, because Bun's coverageThreshold leaves out the files that no
 * test loads, and would so be met best by tests that load nothing: their lines count as not covered here.
 * `--no-run` looks at the files of the last runs.
 */
const leastPercent = 84

const databases = { sqlite: 'sqlite::memory:', postgres: 'postgres:embedded' }
const folder = (name: string) => `coverage/${name}`

if (!process.argv.includes('--no-run')) {
  for (const [name, url] of Object.entries(databases)) {
    const run = Bun.spawnSync(
      // As patient as scripts/test.ts: counting lines makes tests slower still.
      [
        process.execPath,
        'test',
        '--timeout=60000',
        '--coverage',
        '--coverage-reporter=lcov',
        `--coverage-dir=${folder(name)}`,
      ],
      { env: { ...process.env, TESTING_DATABASE_URL: url }, stdio: ['ignore', 'inherit', 'inherit'] },
    )
    if (run.exitCode !== 0) process.exit(run.exitCode)
  }
}

/** How often each line was run, by file and line. */
const files = new Map<string, Map<number, number>>()
for (const name of Object.keys(databases)) {
  for (const record of readFileSync(`${folder(name)}/lcov.info`, 'utf8').split('end_of_record')) {
    const file = /^SF:(src\/.*)$/m.exec(record)?.[1]
    if (file === undefined) continue
    const lines = files.get(file) ?? new Map<number, number>()
    files.set(file, lines)
    for (const [, line, times] of record.matchAll(/^DA:(\d+),(\d+)/gm))
      lines.set(Number(line), (lines.get(Number(line)) ?? 0) + Number(times))
  }
}

const transpilers = { ts: new Bun.Transpiler({ loader: 'ts' }), tsx: new Bun.Transpiler({ loader: 'tsx' }) }
for (const file of new Bun.Glob('src/**/*.{ts,tsx}').scanSync('.')) {
  if (files.has(file) || file.endsWith('.d.ts')) continue
  // What is left of a file that only holds types or names what others hold is no line that could run.
  const code = transpilers[file.endsWith('x') ? 'tsx' : 'ts']
    .transformSync(readFileSync(file, 'utf8'))
    .replace(/^(import|export) [^;]*from [^;]*;$/gm, '')
  const left = code.split('\n').filter((line) => line.trim() !== '')
  if (left.length > 0) files.set(file, new Map(left.map((_, at) => [at + 1, 0])))
}

const sorted = [...files].sort(([one], [other]) => (one < other ? -1 : 1))
const sum = { lines: 0, covered: 0 }
const records = sorted.map(([file, lines]) => {
  const covered = [...lines.values()].filter((times) => times > 0).length
  sum.lines += lines.size
  sum.covered += covered
  console.log(`${((100 * covered) / lines.size).toFixed(1).padStart(6)} %  ${file} (${covered} of ${lines.size})`)
  const counts = [...lines].sort(([one], [other]) => one - other).map(([line, times]) => `DA:${line},${times}`)
  return ['TN:', `SF:${file}`, ...counts, `LF:${lines.size}`, `LH:${covered}`, 'end_of_record', ''].join('\n')
})
mkdirSync('coverage', { recursive: true })
await Bun.write('coverage/lcov.info', records.join(''))

const percent = (100 * sum.covered) / sum.lines
console.log(`All lines of src: ${percent.toFixed(2)} % of ${sum.lines} covered; at least ${leastPercent} % have to be.`)
if (!(percent >= leastPercent)) process.exit(1)
