import { readdirSync } from 'node:fs'
import { type Caller, populate, temporaryDatabase } from './support/database'
import { number, quick, report, spread, verdict } from './support/measure'
import { residentMb, startProgram, startService } from './support/processes'

/** `--minutes N`; 10 if not given. */
const asked = Number(process.argv[process.argv.indexOf('--minutes') + 1])
const seconds = quick ? 10 : (process.argv.includes('--minutes') ? asked : 10) * 60
/** Until caches are full and code is compiled. */
const warmUpSeconds = Math.min(120, seconds / 4)
const callersAtOnce = 8

using file = await temporaryDatabase()
const callers = await populate(file.url, 10, 20)
await using upstream = await startProgram('talker.ts')
await using service = await startService(file.url, { PROVIDER_BASE_URL: upstream.origin, PROVIDER_MODEL: 'talker' })

type Count = { done: number; wrong: number }
const counts = new Map<string, Count>()
const wrong: string[] = []

/** One request or a few that belong together; what is not as it has to be is counted, and the first of it shown. */
type Act = (caller: Caller) => Promise<boolean>

const send = ({ authorization }: Caller, method: string, path: string, body?: object, signal?: AbortSignal) =>
  fetch(service.origin + path, {
    method,
    headers: { authorization, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  })

/** Conversations are replaced before they are so long that reading them is all that is measured. */
const chat = (caller: Caller, stream: boolean, signal?: AbortSignal) => {
  const conversation_id = Math.random() < 0.5 ? caller.conversations[Math.floor(Math.random() * 20)] : undefined
  const body = { message: 'What comes next?', stream, ...(conversation_id && { conversation_id }) }
  return send(caller, 'POST', '/api/v1/chat', body, signal)
}

const acts: Record<string, Act> = {
  'whole reply': async (caller) => {
    const response = await chat(caller, false)
    await response.text()
    return response.status === 200
  },
  'streamed reply': async (caller) => (await (await chat(caller, true)).text()).includes('event: done'),
  'stream that is left': async (caller) => {
    const leaving = new AbortController()
    const response = await chat(caller, true, leaving.signal)
    const reader = response.body?.getReader()
    await reader?.read()
    leaving.abort()
    await reader?.read().catch(() => {})
    return response.status === 200
  },
  'list of conversations': async (caller) => {
    const response = await send(caller, 'GET', '/api/v1/conversations')
    await response.text()
    return response.status === 200
  },
  'conversation made and renamed': async (caller) => {
    const made = await send(caller, 'POST', '/api/v1/conversations', { title: 'Soon gone' })
    const { id } = (await made.json()) as { id: string }
    const renamed = await send(caller, 'PATCH', `/api/v1/conversations/${id}`, { title: 'Renamed' })
    await renamed.text()
    return made.status === 201 && renamed.status === 200
  },
  'refused request': async (caller) => {
    const response = await send({ ...caller, authorization: 'Bearer nonsense' }, 'GET', '/api/v1/me')
    await response.text()
    return response.status === 401
  },
}
const mix = Object.keys(acts)

const endsAt = performance.now() + seconds * 1000

async function keepAsking(n: number): Promise<void> {
  for (let turn = n; performance.now() < endsAt; turn++) {
    const name = mix[turn % mix.length] ?? ''
    const caller = callers[turn % callers.length]
    const act = acts[name]
    if (!caller || !act) throw new Error('There is nobody to ask, or nothing.')
    const count = counts.get(name) ?? { done: 0, wrong: 0 }
    counts.set(name, count)
    const isRight = await act(caller).catch((error: unknown) => {
      wrong.push(`${name}: ${error}`)
      return false
    })
    count.done++
    if (!isRight) count.wrong++
  }
}

type Sample = { hour: number; mb: number; files: number }
const samples: Sample[] = []
const openFiles = () => readdirSync(`/proc/${service.pid}/fd`).length
const startedAt = performance.now()
const before = { mb: residentMb(service.pid), files: openFiles() }
const sampler = setInterval(() => {
  const elapsed = (performance.now() - startedAt) / 1000
  if (elapsed < warmUpSeconds) return
  samples.push({ hour: elapsed / 3600, mb: residentMb(service.pid), files: openFiles() })
}, 500)
await Promise.all(Array.from({ length: callersAtOnce }, (_, n) => keepAsking(n)))
clearInterval(sampler)
await Bun.sleep(3000) // what is on its way ends
const after = { mb: residentMb(service.pid), files: openFiles() }

/** Of the straight line with the least squares, in MB an hour. */
function slope(of: readonly Sample[]): number {
  const mean = (pick: (sample: Sample) => number) => of.reduce((sum, sample) => sum + pick(sample), 0) / of.length
  const [hour, mb] = [mean((sample) => sample.hour), mean((sample) => sample.mb)]
  const spreadOf = of.reduce((sum, sample) => sum + (sample.hour - hour) ** 2, 0)
  return of.reduce((sum, sample) => sum + (sample.hour - hour) * (sample.mb - mb), 0) / spreadOf
}

const all = [...counts.values()].reduce((sum, { done }) => sum + done, 0)
const failed = [...counts.values()].reduce((sum, each) => sum + each.wrong, 0)
const range = (values: number[], digits: number) => {
  const { min, max } = spread(values)
  return `${number(min, digits)} to ${number(max, digits)}`
}

report(
  'Soak',
  `${number(seconds / 60, 1)} minutes of mixed traffic of ${callersAtOnce} callers in ten tenants: ${[...counts].map(([name, { done }]) => `${number(done, 0)} × ${name}`).join(', ')}. Memory (RSS) and open files of the service, twice a second, after ${number(warmUpSeconds, 0)} s of warm-up; the slope is that of a straight line through all of it.`,
  ['', 'measured', 'target'],
  [
    ['requests', number(all, 0), ''],
    ['not as they have to be', number(failed, 0), verdict(failed, 'at most', 0, 'requests')],
    ['memory before, MB', number(before.mb, 0), ''],
    [
      'memory during, MB',
      range(
        samples.map(({ mb }) => mb),
        0,
      ),
      '',
    ],
    ['memory 3 s after, MB', number(after.mb, 0), ''],
    ['slope, MB an hour', number(slope(samples), 1), ''],
    [
      'slope of the second half, MB an hour',
      number(slope(samples.slice(samples.length / 2)), 1),
      verdict(slope(samples.slice(samples.length / 2)), 'at most', 30, 'MB an hour'),
    ],
    ['open files before', number(before.files, 0), ''],
    [
      'open files during',
      range(
        samples.map(({ files }) => files),
        0,
      ),
      '',
    ],
    [
      'open files 3 s after',
      number(after.files, 0),
      verdict(after.files, 'at most', before.files + 3 * callersAtOnce, 'files'),
    ],
  ],
)
for (const each of wrong.slice(0, 5)) console.error(each)
