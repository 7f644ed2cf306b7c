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
const changes = git('status', '--porcelain', '--', 'src', 'bench', 'package.json', 'bun.lock', ':!bench/README.md')

const commit = `${git('rev-parse', '--short', 'HEAD')}${changes === '' ? '' : ', with changes that are not committed'}`

const header = `# What it costs

Written by \`make bench\`; not edited by hand. Every claim is a ratio, or figures that stand in one table and were taken
in turns (A B A B) in one run, because machines differ and are shared.

| | |
| --- | --- |
| machine | ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} CPUs, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch} |
| Bun | ${Bun.version} |
| commit | ${commit} |
| others at work | load average ${loadavg()[0]?.toFixed(1)} before the first program |
| day | ${new Date().toISOString().slice(0, 10)} |
${quick ? '\nA short run (`--quick`): it shows that the programs work, its figures say little.\n' : ''}`
const isWanted = (command: string) =>
  isPartial ? command.includes(only) : command !== 'bench/soak.ts' || process.argv.includes('--soak')

/** What each program printed, by its command. */
const parts = new Map<string, string>()
const before = existsSync(readme) ? readFileSync(readme, 'utf8') : ''
for (const [part, command = ''] of before.matchAll(/^## [\s\S]*?\n`bun (bench\/[^`]+)`.*$/gm))
  if (!isWanted(command)) parts.set(command, part)
const top = isPartial ? before.slice(0, before.indexOf('\n## ')) : header
const alone = isPartial ? `, a run of its own at commit ${commit}` : ''

for (const words of programs) {
  const command = `bench/${words.join(' ')}`
  if (!isWanted(command)) continue
  console.error(`bun ${command}`)
  const args = [...command.split(' '), ...(quick ? ['--quick'] : [])]
  const run = Bun.spawnSync([process.execPath, ...args], { cwd: root, stdout: 'pipe', stderr: 'inherit' })
  if (!run.success) throw new Error(`bun ${command} failed (${run.signalCode ?? run.exitCode}).`)
  parts.set(command, `${run.stdout.toString().trim()}\n\n\`bun ${command}\`${alone}`)
  // Each time, because a later one may fail.
  const inOrder = programs.flatMap((each) => parts.get(`bench/${each.join(' ')}`) ?? [])
  await Bun.write(readme, `${[top.trim(), ...inOrder].join('\n\n')}\n`)
}
