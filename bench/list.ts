import { join } from 'node:path'
import { populate, temporaryDatabase } from './support/database'
import { load, request } from './support/load'
import { interleaved, number, quick, report, show, spread, verdict } from './support/measure'
import { startProgram, startService } from './support/processes'

const forMs = quick ? 300 : 3000
const rounds = quick ? 2 : 7
const path = '/api/v1/conversations'

using file = await temporaryDatabase()
const callers = await populate(file.url, 10, 200)
await using service = await startService(file.url)

const body = await (
  await fetch(service.origin + path, { headers: { authorization: callers[0]?.authorization ?? '' } })
).text()
const bodyFile = join(file.folder, 'list.json')
await Bun.write(bodyFile, body)
await using bare = await startProgram('bare.ts', bodyFile)
await using floor = await startProgram('floor.ts', file.url.replace('sqlite:', ''))

const lists = callers.map(({ authorization }) => request('GET', path, { authorization }))
const options = { callers: 32, forMs }
const runs = await interleaved(rounds, {
  text: () => load(bare, [request('GET', '/text', {})], options),
  object: () => load(bare, [request('GET', '/object', {})], options),
  floor: () => load(floor, lists, options),
  service: () => load(service, lists, options),
})

const share = spread(runs.service.map((run, round) => run.perSecond / (runs.object[round]?.perSecond ?? Number.NaN)))
const row = (name: string, of: typeof runs.service) => [
  name,
  show(spread(of.map(({ perSecond }) => perSecond)), 0),
  show(spread(of.map(({ cpuUs }) => cpuUs)), 1),
  show(spread(of.map(({ p50 }) => p50)), 3),
  '',
]

report(
  'List',
  `\`GET ${path}\`, 20 of a tenant's 200 conversations (${number(body.length, 0)} bytes), with 32 callers, against an Elysia route without hooks that answers with the same bytes, and against a floor: \`Bun.serve\` with the token's HMAC, the service's two statements by hand and \`JSON.stringify\`, and nothing else. Median (min to max) of ${rounds} rounds of ${forMs / 1000} s.`,
  ['', 'requests/s', 'CPU of the server, µs', 'p50, ms', 'target'],
  [
    row('Elysia alone, a prepared text', runs.text),
    row('Elysia alone, an object', runs.object),
    row('floor', runs.floor),
    row('service', runs.service),
    ['service / object', show(share, 2), '', '', verdict(share.median, 'at least', 0.5, 'of Elysia alone')],
  ],
)
