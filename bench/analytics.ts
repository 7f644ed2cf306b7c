import { rmSync } from 'node:fs'
import { databases } from './support/databases'
import { interleaved, number, quick, report, show, spread, verdict } from './support/measure'
import { residentMb, startService } from './support/processes'

const isPostgres = process.argv.includes('--postgres')
const [few, many] = quick ? [1000, 10_000] : [10_000, 1_000_000]
const rounds = quick ? 3 : 15
const calls = quick ? 50 : 100
const [turns, atOnce] = [quick ? 5 : 31, 16]

// The tables are declared for the dialect that this decides, so what needs them is loaded afterwards.
const { databaseUrls, folder, name } = await databases(['few', 'many', 'one_tenant', 'listed'])
const [fewUrl = '', manyUrl = '', oneTenantUrl = '', listedUrl = ''] = databaseUrls
process.env.DATABASE_URL = fewUrl
const { Recorder, recorderLimits } = await import('../src/analytics/recorder')
const { connect } = await import('../src/database/database')
const { lineReporter } = await import('../src/reporter')
const { fillRequests } = await import('./support/metered')
const { migrate } = await import('../src/database/migrate')
const { populate } = await import('./support/database')
const { appOn } = await import('./support/sized')

const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T

type App = ReturnType<typeof appOn>
async function get(app: App, path: string, authorization: string): Promise<void> {
  const response = await app.handle(new Request(`http://localhost${path}`, { headers: { authorization } }))
  if (response.status !== 200) throw new Error(await response.text())
  await response.text()
}

const callersOf = { few: await fillRequests(fewUrl, 100, few), many: await fillRequests(manyUrl, 100, many) }
const opened = { few: connect(fewUrl), many: connect(manyUrl) }

await summaries()
await hook()
await exportOfOneTenant()

for (const connection of Object.values(opened)) await connection[Symbol.asyncDispose]()
if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
process.exit(0) // the embedded server ends with this process

async function summaries() {
  const timed = (size: 'few' | 'many') => {
    const app = appOn(opened[size])
    return async () => {
      const startedAt = performance.now()
      for (let call = 0; call < calls; call++)
        await get(app, '/api/v1/analytics/summary', any(callersOf[size]).authorization)
      return (performance.now() - startedAt) / calls
    }
  }
  const runs = await interleaved(rounds, { few: timed('few'), many: timed('many') })
  const growth = spread(runs.many.map((ms, round) => ms / (runs.few[round] ?? Number.NaN)))
  const limit = isPostgres ? 15 : 5
  const slow = spread(runs.many)
  report(
    `Analytics: summary, ${name}`,
    `\`GET /api/v1/analytics/summary\` over 30 days, one caller, in the process (no socket), 100 tenants with 20 users each; every call is another tenant's, by chance. Median (min to max) of ${rounds} rounds of ${calls} calls.`,
    ['', 'ms', 'target'],
    [
      [`${number(few, 0)} requests`, show(spread(runs.few), 2), ''],
      [`${number(many, 0)} requests`, show(slow, 2), verdict(slow.median, 'at most', limit, 'ms')],
      ['ratio', show(growth, 2), verdict(growth.median, 'at most', 1.5, 'times')],
    ],
  )
}

/** A machine changes its speed from one second to the next: so the two take turns of a few ms, in one process. */
async function hook() {
  await using connection = connect(listedUrl)
  await migrate(connection.root)
  const listing = await populate(listedUrl, 10, 20)
  const recorder = new Recorder(connection.database, lineReporter('warn', 'json'), { ...recorderLimits, everyMs: 0 })
  const apps = { without: appOn(connection), with: appOn(connection, [recorder.record]) }
  const lists = async (app: App) => {
    const startedAt = performance.now()
    for (const caller of listing)
      await Promise.all(Array.from({ length: atOnce }, () => get(app, '/api/v1/conversations', caller.authorization)))
    return performance.now() - startedAt
  }
  const runs: Record<'without' | 'with', number>[] = []
  let written = 0
  for (let round = 0; round <= rounds; round++) {
    const ms = { without: 0, with: 0 }
    for (let turn = 0; turn < turns; turn++) {
      const names = ['without', 'with'] as const
      for (const name of turn % 2 === 0 ? names : names.toReversed()) ms[name] += await lists(apps[name])
    }
    const startedAt = performance.now()
    written += recorder.waiting
    await recorder.flush()
    ms.with += performance.now() - startedAt
    if (round > 0) runs.push(ms) // the first warms up
  }
  const each = turns * listing.length * atOnce
  if (written !== each * (rounds + 1)) throw new Error(`${written} requests were recorded.`)
  const us = (name: 'without' | 'with') => show(spread(runs.map((ms) => (ms[name] * 1000) / each)), 0)
  const ratio = spread(runs.map((ms) => ms.without / ms.with))
  report(
    `Analytics: hook and recorder, ${name}`,
    `\`GET /api/v1/conversations\` of ten tenants with 20 conversations each, ${atOnce} callers at once, in the process (no socket, which would add to both), with and without the hook and the recorder, in turns of ${listing.length * atOnce} requests. The writing of the records counts. Median (min to max) of ${rounds} rounds of ${number(each, 0)} requests each.`,
    ['', 'µs for each', 'ratio of throughput', 'target'],
    [
      ['without', us('without'), '', ''],
      ['with', us('with'), show(ratio, 3), verdict(ratio.median, 'at least', 0.95, 'of without')],
    ],
  )
}

async function exportOfOneTenant() {
  const [caller] = await fillRequests(oneTenantUrl, 1, many)
  await using service = await startService(oneTenantUrl)
  const headers = { authorization: caller?.authorization ?? '' }
  const path = `${service.origin}/api/v1/analytics/export?rows=requests`
  await (await fetch(`${service.origin}/api/v1/analytics/export`, { headers })).text()
  const before = residentMb(service.pid)
  let peak = before
  let bytes = 0
  const startedAt = performance.now()
  const response = await fetch(path, { headers })
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    peak = Math.max(peak, residentMb(service.pid))
  }
  const seconds = (performance.now() - startedAt) / 1000
  report(
    `Analytics: export, ${name}`,
    `\`GET /api/v1/analytics/export?rows=requests\` of a tenant with ${number(many, 0)} request records: ${number(bytes / 2 ** 20, 0)} MB of CSV over a socket in ${number(seconds, 1)} s. Memory of the server that is in RAM, MB.`,
    ['', 'MB', 'target'],
    [
      ['before', number(before, 0), ''],
      ['most', number(peak, 0), ''],
      ['growth', number(peak - before, 0), verdict(Math.round(peak - before), 'at most', 50, 'MB')],
    ],
  )
}
