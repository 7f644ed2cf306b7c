import { temporaryDatabase } from './support/database'
import { quick, report, show, spread, verdict } from './support/measure'
import { residentMb, startService } from './support/processes'

const rounds = quick ? 2 : 10

using file = await temporaryDatabase()

const started: number[] = []
const resident: number[] = []
for (let round = 0; round <= rounds; round++) {
  const startedAt = performance.now()
  await using service = await startService(file.url)
  await (await fetch(`${service.origin}/health`)).text()
  const tookMs = performance.now() - startedAt
  await Bun.sleep(2000)
  if (round === 0) continue // the files of the program come from the disk
  started.push(tookMs)
  resident.push(residentMb(service.pid))
}

report(
  'Start',
  `\`bun src/cli.ts serve\` on a migrated SQLite file, until \`/health\` has answered, and its memory (RSS) two seconds later. Median (min to max) of ${rounds} starts.`,
  ['', 'measured', 'target'],
  [
    ['start to first answer, ms', show(spread(started), 0), verdict(spread(started).median, 'at most', 250, 'ms')],
    ['idle memory, MB', show(spread(resident), 0), verdict(spread(resident).median, 'at most', 90, 'MB')],
  ],
)
