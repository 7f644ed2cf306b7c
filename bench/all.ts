import { existsSync, readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { quick } from './support/measure'
import { root } from './support/processes'

/** `--only <text of a command>`: these programs alone; what the others printed before stays as it is. */
const isPartial = process.argv.includes('--only')
const only = process.argv[process.argv.indexOf('--only') + 1] ?? ''
const readme = join(root, 'bench/README.md')

const programs = [
  ['chat.ts'],
  ['plugins.ts'],
  ['list.ts'],
  ['start.ts'],
  ['size.ts'],
  ['size.ts', '--postgres'],
  ['jobs.ts'],
  ['jobs.ts', '--postgres'],
  ['analytics.ts'],
  ['analytics.ts', '--postgres'],
  ['isolation.ts'],
  ['isolation.ts', '--postgres'],
  ['rls.ts'],
  ['suite.ts'],
  // Ten minutes more.
  ['soak.ts'],
] as const

const git = (...args: string[]) =>
  Bun.spawnSync(['git', ...args], { cwd: root })
    .stdout.toString()
    .trim()
const changes = git('status', '--porcelain', '--', 'src', 'bench', 'package.json', 'bun.lock', ':!*README.md')

const commit = `${git('rev-parse', '--short', 'HEAD')}${changes === '' ? '' : ', with changes that are not committed'}`
const machine = `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} CPUs, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch}`
const day = new Date().toISOString().slice(0, 10)

const top = `# What it costs

Written by \`make bench\`; not edited by hand. Every claim is a ratio, or figures that stand in one table and were taken
in turns (A B A B) in one run, because machines differ and are shared: what stands in two tables is not compared.
Below each part: the program that printed it, the commit, the day, how much others had to do when it began (the load
average), the machine.`

const isWanted = (command: string) =>
  isPartial ? command.includes(only) : command !== 'bench/soak.ts' || process.argv.includes('--soak')

/** What each program printed, by its command. What is not printed anew stays as it is. */
const parts = new Map<string, string>()
const before = existsSync(readme) ? readFileSync(readme, 'utf8') : ''
for (const [part, command = ''] of before.matchAll(/^## [\s\S]*?\n`bun (bench\/[^`]+)`.*$/gm)) parts.set(command, part)

const commands = programs.map((words) => `bench/${words.join(' ')}`)
const wanted = commands.filter(isWanted)
if (wanted.length === 0) throw new Error(`No program's command contains ${only}.`)

const failed: string[] = []
for (const command of wanted) {
  console.error(`bun ${command}`)
  const load = loadavg()[0]?.toFixed(1)
  const args = [...command.split(' '), ...(quick ? ['--quick'] : [])]
  const run = Bun.spawnSync([process.execPath, ...args], { cwd: root, stdout: 'pipe', stderr: 'inherit' })
  if (!run.success) {
    failed.push(`bun ${command} failed (${run.signalCode ?? run.exitCode}).`)
    continue
  }
  const short = quick ? ' A short run (`--quick`): it shows that the program works, its figures say little.' : ''
  const origin = `\`bun ${command}\`, at ${commit}, ${day}, load ${load}, ${machine}, Bun ${Bun.version}.${short}`
  parts.set(command, `${run.stdout.toString().trim()}\n\n${origin}`)
  // Each time, because the next may be interrupted.
  const inOrder = commands.flatMap((each) => parts.get(each) ?? [])
  await Bun.write(readme, `${[top, ...inOrder].join('\n\n')}\n`)
}
// The kit's own README quotes them.
const opened = (command: string) =>
  /^\| opening a world and rolling it back \| ([\d.]+)/m.exec(parts.get(command) ?? '')?.[1]
const [sqlite, postgres] = [opened('bench/isolation.ts'), opened('bench/isolation.ts --postgres')]
if (sqlite && postgres) {
  const quoting = join(root, 'src/testing/README.md')
  const quoted = readFileSync(quoting, 'utf8').replace(
    /[\d.]+ ms on SQLite in memory, [\d.]+ ms on PostgreSQL/,
    `${sqlite} ms on SQLite in memory, ${postgres} ms on PostgreSQL`,
  )
  await Bun.write(quoting, quoted)
}
if (failed.length > 0) throw new Error(`What they printed before stays as it was. ${failed.join(' ')}`)
