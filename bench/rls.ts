import { databases } from './support/databases'
import { interleaved, number, quick, report, show, spread } from './support/measure'

const messages = quick ? 10_000 : 100_000
const rounds = quick ? 3 : 9
const calls = quick ? 50 : 200

process.argv.push('--postgres') // SQLite has nothing of the kind
// The tables are declared for the dialect that this decides, so what needs them is loaded afterwards.
const { databaseUrls, name } = await databases(['rls'])
const [url = ''] = databaseUrls
process.env.DATABASE_URL = url
const { actsOn, fillSized } = await import('./support/sized')
const { connect } = await import('../src/database/database')
const { admitRole } = await import('../src/database/role')

const callers = await fillSized(url, messages)
const service = Object.assign(new URL(url), { username: 'service', password: 'bench' }).href
const owner = connect(url)
await admitRole(owner.root, service)

// A superuser, who does not say whose rows a statement is about: as it would be without policies.
const { session } = owner.root
const silent = {
  ...session,
  run: ({ text, params, shape }: Parameters<typeof session.run>[0]) => session.run({ text, params, shape }),
  nest: <T>(work: Parameters<typeof session.nest<T>>[0]) => session.nest(work),
}
const without = actsOn(Object.assign(owner, { root: Object.assign(owner.root, { session: silent }) }), callers)
const held = actsOn(connect(service), callers)

const titles = {
  list: 'list of 20 conversations',
  history: 'page of 20 messages',
  prompt: 'history for the model, one statement',
  chat: 'chat with the echo model',
  rareWord: 'search, a rare word',
  commonWord: 'search, a word in every 25th message',
} as const

/** µs for each call. */
const timed = (act: () => Promise<void>, times: number) => async () => {
  const startedAt = performance.now()
  for (let call = 0; call < times; call++) await act()
  return ((performance.now() - startedAt) * 1000) / times
}

const rows: string[][] = []
for (const act of Object.keys(titles) as (keyof typeof titles)[]) {
  const times = act.endsWith('Word') ? calls / 10 : calls
  const runs = await interleaved(rounds, { without: timed(without[act], times), held: timed(held[act], times) })
  const ratio = spread(runs.held.map((us, round) => us / (runs.without[round] ?? Number.NaN)))
  rows.push([titles[act], show(spread(runs.without), 0), show(spread(runs.held), 0), show(ratio, 2)])
}
report(
  'Row level security',
  `Calls one after the other inside the process, ${name} with ${number(messages, 0)} messages of 100 tenants. Without: a superuser, each statement alone. With: a plain role, and each statement with its tenant ahead of it. µs, median (min to max) of ${rounds} rounds.`,
  ['', 'without', 'with', 'ratio'],
  rows,
)
await without.close()
await held.close()
