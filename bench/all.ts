import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { quick } from './support/measure'
import { root } from './support/processes'

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
  ...(process.argv.includes('--soak') ? [['soak.ts'] as const] : []),
] as const

const git = (...args: string[]) =>
  Bun.spawnSync(['git', ...args], { cwd: root })
    .stdout.toString()
    .trim()
const changes = git('status', '--porcelain', '--', 'src', 'bench', 'package.json', 'bun.lock')

const parts = [
  `# What it costs

Written by \`make bench\`; not edited by hand. Every claim is a ratio, or figures that stand in one table and were taken
in turns (A B A B) in one run, because machines differ and are shared.

| | |
| --- | --- |
| machine | ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} CPUs, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch} |
| Bun | ${Bun.version} |
| commit | ${git('rev-parse', '--short', 'HEAD')}${changes === '' ? '' : ', with changes that are not committed'} |
| others at work | load average ${loadavg()[0]?.toFixed(1)} before the first program |
| day | ${new Date().toISOString().slice(0, 10)} |
${quick ? '\nA short run (`--quick`): it shows that the programs work, its figures say little.\n' : ''}`,
]

for (const [file, ...args] of programs) {
  const command = [`bench/${file}`, ...args, ...(quick ? ['--quick'] : [])]
  console.error(`bun ${command.join(' ')}`)
  const run = Bun.spawnSync([process.execPath, ...command], { cwd: root, stdout: 'pipe', stderr: 'inherit' })
  if (!run.success) throw new Error(`bun ${command.join(' ')} failed (${run.signalCode ?? run.exitCode}).`)
  parts.push(`${run.stdout.toString().trim()}\n\n\`bun bench/${[file, ...args].join(' ')}\`\n`)
  await Bun.write(join(root, 'bench/README.md'), parts.join('\n')) // each time, because a later one may fail
}
