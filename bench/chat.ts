import { populate, temporaryDatabase } from './support/database'
import { load, request } from './support/load'
import { interleaved, number, quick, report, show, spread, verdict } from './support/measure'
import { startProgram, startService } from './support/processes'

const forMs = quick ? 300 : 3000
const rounds = quick ? 2 : 7

using file = await temporaryDatabase()
using floorFile = await temporaryDatabase()
await using upstream = await startProgram('upstream.ts')

// Each conversation in turn, so that histories stay as short as those of most conversations are.
const message = 'What should we look at first in the third quarter?'
const chatsIn = async (url: string) => {
  const callers = await populate(url, 10, 200)
  return Array.from({ length: 200 }, (_, n) =>
    callers.map(({ authorization, conversations }) =>
      request('POST', '/api/v1/chat', { authorization }, { message, conversation_id: conversations[n] }),
    ),
  ).flat()
}
const chats = await chatsIn(file.url)
const floorChats = await chatsIn(floorFile.url)
const asked = [
  request('POST', '/chat/completions', {}, { model: 'fixed', messages: [{ role: 'user', content: message }] }),
]

await using service = await startService(file.url, { PROVIDER_BASE_URL: upstream.origin, PROVIDER_MODEL: 'fixed' })
await using floor = await startProgram('floor.ts', floorFile.url.replace('sqlite:', ''), upstream.origin)

const alone = await interleaved(rounds, {
  upstream: () => load(upstream, asked, { callers: 1, forMs }),
  floor: () => load(floor, floorChats, { callers: 1, forMs }),
  service: () => load(service, chats, { callers: 1, forMs }),
})
const many = await interleaved(rounds, {
  upstream: () => load(upstream, asked, { callers: 32, forMs }),
  floor: () => load(floor, floorChats, { callers: 32, forMs }),
  service: () => load(service, chats, { callers: 32, forMs }),
})

const added = (which: 'p50' | 'p99') =>
  spread(alone.service.map((run, round) => run[which] - (alone.upstream[round]?.[which] ?? Number.NaN)))
const row = (name: string, runs: { perSecond: number; p50: number; p99: number }[]) => [
  name,
  show(spread(runs.map(({ p50 }) => p50)), 3),
  show(spread(runs.map(({ p99 }) => p99)), 3),
  show(spread(runs.map(({ perSecond }) => perSecond)), 0),
  '',
]
const cpu = (runs: { cpuUs: number }[]) => number(spread(runs.map(({ cpuUs }) => cpuUs)).median, 0)
const perSecond = spread(many.service.map((run) => run.perSecond)).median

report(
  'Chat',
  `\`POST /api/v1/chat\` in full (token, user, settings, two messages and usage committed to an SQLite file) against the model server it asks, called without it, and against a floor: \`Bun.serve\` with the token's HMAC, the same statements by hand and the question to the model server, and nothing else. Service, model server and client are three processes on the same CPUs. Median (min to max) of ${rounds} rounds of ${forMs / 1000} s.`,
  ['', 'p50, ms', 'p99, ms', 'requests/s', 'target'],
  [
    row('1 caller, model server alone', alone.upstream),
    row('1 caller, floor', alone.floor),
    row('1 caller, service', alone.service),
    [
      '1 caller, added by the service',
      show(added('p50'), 3),
      show(added('p99'), 3),
      '',
      `p50 ${verdict(added('p50').median, 'at most', 0.6, 'ms')}, p99 ${verdict(added('p99').median, 'at most', 6, 'ms')}`,
    ],
    row('32 callers, model server alone', many.upstream),
    row('32 callers, floor', many.floor),
    [...row('32 callers, service', many.service).slice(0, 4), verdict(perSecond, 'at least', 3000, 'a second')],
  ],
)
console.log(
  `With 32 callers the service takes ${cpu(many.service)} µs of CPU time for each reply, the floor ${cpu(many.floor)} µs.\n`,
)
