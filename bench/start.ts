import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { takeSteps } from '../scripts/image-steps'
import { temporaryDatabase } from './support/database'
import { interleaved, quick, report, show, spread, verdict } from './support/measure'
import { residentMb, root, startService } from './support/processes'

const rounds = quick ? 2 : 10

using file = await temporaryDatabase()
const folder = join(file.folder, 'image')
mkdirSync(folder)
const { entrypoint } = takeSteps(root, folder)

async function start(program?: readonly string[]) {
  const startedAt = performance.now()
  await using service = await startService(file.url, {}, program)
  await (await fetch(`${service.origin}/health`)).text()
  const ms = performance.now() - startedAt
  await Bun.sleep(2000)
  return { ms, mb: residentMb(service.pid) }
}

const runs = await interleaved(rounds, { image: () => start(entrypoint), source: () => start() })
const row = (name: string, of: typeof runs.image, targets = ['', '']) => {
  const [ms, mb] = [spread(of.map(({ ms }) => ms)), spread(of.map(({ mb }) => mb))]
  const [start, memory] = targets
  return [name, show(ms, 0), start ?? '', show(mb, 0), memory ?? '']
}
const medians = { ms: spread(runs.image.map(({ ms }) => ms)).median, mb: spread(runs.image.map(({ mb }) => mb)).median }

report(
  'Start',
  `The binary of the image, and \`bun src/cli.ts\`, each with \`serve\` on a migrated SQLite file: until \`/health\` has answered, and its memory (RSS) two seconds later. Median (min to max) of ${rounds} starts.`,
  ['', 'start to first answer, ms', 'target', 'idle memory, MB', 'target'],
  [
    row('image', runs.image, [verdict(medians.ms, 'at most', 250, 'ms'), verdict(medians.mb, 'at most', 90, 'MB')]),
    row('source', runs.source),
  ],
)
