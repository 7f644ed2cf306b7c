import { rmSync } from 'node:fs'
import { databases } from './support/databases'
import { interleaved, number, quick, report, show, spread, verdict } from './support/measure'

const sizes = quick ? [1000, 10_000] : [1000, 10_000, 100_000, 1_000_000]
const rounds = quick ? 3 : 15
const calls = quick ? 50 : 200

// The tables are declared for the dialect that this decides, so what needs them is loaded afterwards.
const { databaseUrls, folder, name } = await databases(sizes.map((size) => `size_${size}`))
process.env.DATABASE_URL = databaseUrls[0]
const { openSized } = await import('./support/sized')

const opened = []
for (const [at, messages] of sizes.entries()) opened.push(await openSized(databaseUrls[at] ?? '', messages))

const acts = ['list', 'history', 'prompt', 'rareWord', 'commonWord'] as const
type Act = (typeof acts)[number]
const titles: Record<Act, string> = {
  list: 'list of 20 conversations',
  history: 'page of 20 messages',
  prompt: 'history for the model',
  rareWord: 'search, a rare word',
  commonWord: 'search, a word in every 25th message',
}

const rows: string[][] = []
for (const act of acts) {
  const isSearch = act === 'rareWord' || act === 'commonWord'
  const callsEach = isSearch ? calls / 10 : calls // a search may take a hundred times as long
  const runs = await interleaved(
    rounds,
    Object.fromEntries(
      opened.map((database, at) => [
        String(sizes[at]),
        async () => {
          const startedAt = performance.now()
          for (let call = 0; call < callsEach; call++) await database[act]()
          return ((performance.now() - startedAt) * 1000) / callsEach
        },
      ]),
    ),
  )
  const spreads = sizes.map((size) => spread(runs[String(size)] ?? []))
  const growth = (spreads.at(-1)?.median ?? Number.NaN) / (spreads[0]?.median ?? Number.NaN)
  const figures = spreads.map((each) => show(each, 0))
  rows.push([
    titles[act],
    ...figures,
    isSearch ? number(growth, 2) : `${number(growth, 2)}, ${verdict(growth, 'at most', 1.5, 'times')}`,
  ])
}

report(
  `Size of the database, ${name}`,
  `One caller, in the process (no socket), µs for each call; every call is another tenant's or conversation's, by chance. 100 tenants; conversations of 20 messages, at least 20 for each tenant. Median (min to max) of ${rounds} rounds of ${calls} calls (searches ${calls / 10}, for information).`,
  ['', ...sizes.map((size) => `${number(size, 0)} messages`), 'largest / smallest'],
  rows,
)

for (const database of opened) await database.close()
if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
process.exit(0) // the embedded server ends with this process
