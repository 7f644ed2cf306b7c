import { readFileSync } from 'node:fs'

/**
 * Runs the tests with coverage (a table, and coverage/lcov.info), and fails when fewer lines of src/ are covered than
 * here. Ours, because Bun's coverageThreshold leaves out the files that no test loads, and would so be met best by tests
 * that load nothing: their lines count as not covered here. `--no-run` looks at the last run's file.
 */
const leastPercent = 89

if (!process.argv.includes('--no-run')) {
  const run = Bun.spawnSync(
    [process.execPath, 'test', '--coverage', '--coverage-reporter=text', '--coverage-reporter=lcov'],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  if (run.exitCode !== 0) process.exit(run.exitCode)
}

const sum = { lines: 0, covered: 0 }
const loaded = new Set<string>()
for (const record of readFileSync('coverage/lcov.info', 'utf8').split('end_of_record')) {
  const file = /^SF:(src\/.*)$/m.exec(record)?.[1]
  if (file === undefined) continue
  loaded.add(file)
  sum.lines += Number(/^LF:(\d+)$/m.exec(record)?.[1])
  sum.covered += Number(/^LH:(\d+)$/m.exec(record)?.[1])
}

const transpilers = { ts: new Bun.Transpiler({ loader: 'ts' }), tsx: new Bun.Transpiler({ loader: 'tsx' }) }
for (const file of [...new Bun.Glob('src/**/*.{ts,tsx}').scanSync('.')].sort()) {
  if (loaded.has(file) || file.endsWith('.d.ts')) continue
  // What is left of a file that only holds types or names what others hold is no line that could run.
  const code = transpilers[file.endsWith('x') ? 'tsx' : 'ts']
    .transformSync(readFileSync(file, 'utf8'))
    .replace(/^(import|export) [^;]*from [^;]*;$/gm, '')
  const lines = code.split('\n').filter((line) => line.trim() !== '').length
  if (lines === 0) continue
  sum.lines += lines
  console.log(`Not loaded by any test in this process: ${file} (${lines} lines)`)
}

const percent = (100 * sum.covered) / sum.lines
console.log(`All lines of src: ${percent.toFixed(2)} % of ${sum.lines} covered; at least ${leastPercent} % have to be.`)
if (!(percent >= leastPercent)) process.exit(1)
