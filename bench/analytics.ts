import { rmSync } from 'node:fs'
import { databases } from './support/databases'
import { load, request } from './support/load'
import { interleaved, number, quick, report, show, spread, verdict } from './support/measure'
import { residentMb, startProgram, startService } from './support/processes'

const isPostgres = process.argv.includes('--postgres')
const [few, many] = quick ? [1000, 10_000] : [10_000, 1_000_000]
const rounds = quick ? 3 : 15
const calls = quick ? 50 : 100
const [turns, turnMs, atOnce] = [quick ? 12 : 80, 25, 16]

// The tables are declared for the dialect that this decides, so what needs them is loaded afterwards.
const { databaseUrls, folder, name } = await databases(['few', 'many', 'one_tenant', 'listed'])
const [fewUrl = '', manyUrl = '', oneTenantUrl = '', listedUrl = ''] = databaseUrls
process.env.DATABASE_URL = fewUrl
const { connect } = await import('../src/database/database')
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

/**
 * A machine changes its speed from one second to the next: so the two take short turns, in one process, and what they
 * take is compared pair by pair. Writing is timed by itself, when as much waits as two seconds leave.
 */
async function hook() {
  {
    await using connection = connect(listedUrl)
    await migrate(connection.root)
  }
  const listing = await populate(listedUrl, 10, 20)
  const lists = listing.map(({ authorization }) => request('GET', '/api/v1/conversations', { authorization }))
  await using observed = await startProgram('observed.ts', listedUrl)
  const origins = (await (await fetch(observed.origin)).json()) as Record<'without' | 'with', string>
  const pairs: Record<'without' | 'with', number>[] = []
  const writing: number[] = []
  for (let round = 0; round <= rounds; round++) {
    let seen = 0
    for (let turn = 0; turn < turns; turn++) {
      const us = { without: 0, with: 0 }
      const names = ['without', 'with'] as const
      for (const name of turn % 2 === 0 ? names : names.toReversed()) {
        const run = await load({ ...observed, origin: origins[name] }, lists, { callers: atOnce, forMs: turnMs })
        us[name] = 1_000_000 / run.perSecond
        if (name === 'with') seen += run.answers
      }
      if (round > 0) pairs.push(us) // the first warms up
    }
    const { written, ms } = (await (await fetch(observed.origin, { method: 'POST' })).json()) as {
      written: number
      ms: number
    }
    if (written !== seen) throw new Error(`${written} of ${seen} requests were recorded.`)
    if (round > 0) writing.push((ms * 1000) / written)
  }
  const [without, added] = [spread(pairs.map((us) => us.without)), spread(pairs.map((us) => us.with - us.without))]
  const ratio = without.median / (without.median + added.median + spread(writing).median)
  report(
    `Analytics: hook and recorder, ${name}`,
    `\`GET /api/v1/conversations\` of ten tenants with 20 conversations each, by ${atOnce} callers over a socket. One process serves it with and without them, in turns of ${turnMs} ms, compared in pairs; after each ${turns} turns, what was recorded is written, and nothing is served meanwhile. Median (min to max) of ${rounds * turns} turns and ${rounds} writings; the ratio is of the medians.`,
    ['', 'µs for each request', 'target'],
    [
      ['without hook and recorder', show(without, 0), ''],
      ['added by hook and recording', show(added, 1), ''],
      ['added by writing the records', show(spread(writing), 1), ''],
      ['throughput with them / without', number(ratio, 3), verdict(ratio, 'at least', 0.95, 'of without')],
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
