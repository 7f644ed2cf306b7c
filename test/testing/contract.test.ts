import { afterAll, test as bunTest, expect } from 'bun:test'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { Elysia } from 'elysia'
import { createKit, type Dialect, openRunDatabase } from '../../src/testing'
import { connectPostgres } from '../../src/testing/postgres-session'
import { runDatabase } from '../setup'
import { cases } from './contract/cases'
import { add, everything, names, prepare, seed, untouched } from './contract/schema'
import { ask, failure, messagesOf, type Steps, transaction } from './contract/steps'
import { type Subject, subjects } from './contract/subjects'
import { unsupported, unsupportedAt } from './contract/unsupported'

/** The databases that this run is about; the service's tables are declared for one dialect, so there is one at a time. */
const backends: readonly { name: string; dialect: Dialect; url: string | undefined }[] = [
  { name: 'SQLite in memory', dialect: 'sqlite', url: 'sqlite::memory:' },
  { name: 'SQLite in a file', dialect: 'sqlite', url: 'sqlite:contract.db' },
  { name: 'Postgres', dialect: 'postgres', url: process.env.TESTING_DATABASE_URL },
]
const levels = ['savepoint', 'fork'] as const

/** Answers POST /counted/:n and /undone/:n, each with a transaction that others come between. */
const appOf = ({ perform }: Subject) => {
  function* counted(n: string): Steps<string> {
    yield* ask("update counters set value = value + 1 where name = 'hits'")
    yield* add(n)
    return `counted ${n}`
  }
  return new Elysia()
    .post('/counted/:n', ({ params: { n } }) => perform(() => transaction(() => counted(n))))
    .post('/undone/:n', ({ params: { n } }) =>
      perform(() =>
        failure(() =>
          transaction(function* () {
            yield* counted(n)
            throw new Error('undone')
          }),
        ),
      ),
    )
}

for (const { case: name, where, reason } of unsupported) {
  if (where.dialect === undefined || where.dialect === runDatabase.dialect)
    console.info(`not supported: ${name} (${Object.values(where).join(', ')}): ${reason}`)
}

for (const { name: backend, dialect, url } of backends) {
  if (dialect !== runDatabase.dialect) continue
  for (const make of subjects) {
    const subject = make()
    if (!subject.dialects.includes(dialect)) continue
    const { perform } = subject
    const run = await openRunDatabase({ env: { ...process.env, TESTING_DATABASE_URL: url } })
    const kit = await createKit({
      run,
      door: subject.door,
      app: appOf(subject),
      prepare: (session) => prepare(session, dialect),
      seed: async () => {
        await perform(seed)
        return { first: 'seeded' }
      },
      fixtures: {
        post:
          ({ client }) =>
          async (path: string) =>
            (await client(() => ({})).post(path)).body as string,
      },
    })
    const { describe } = kit
    const start = () => perform(everything(dialect))
    afterAll(() => kit.close())

    for (const level of levels) {
      describe(`${backend}, ${subject.name}, ${level}`, { isolation: level }, (test) => {
        for (const { name, run } of cases) {
          const found = unsupportedAt(name, { subject: subject.name, dialect, level })
          if (!found) {
            // A table that is changed is locked, for all who run at the same time.
            const register = name === 'tables can be made, filled and changed' ? test.serial : test
            // Whatever ran before, in whatever order, has left nothing.
            register(name, async ({ post, rewind }) => {
              expect(await start()).toEqual(untouched())

              await run({ subject, dialect, perform, post, rewind })
            })
          } else if (found.refusal !== undefined) {
            const { refusal } = found
            test(`refused: ${name}`, async ({ post, rewind }) => {
              const outcome = await run({ subject, dialect, perform, post, rewind }).then(() => 'it ran', messagesOf)

              expect(outcome).toContain(refusal)
            })
          }
        }

        describe('tests at the same time', () => {
          const wrote = { a: Promise.withResolvers<void>(), b: Promise.withResolvers<void>() }
          for (const [mine, other] of [
            ['a', 'b'],
            ['b', 'a'],
          ] as const) {
            test.concurrent(`do not see each other: ${mine}`, async () => {
              await perform(() => transaction(() => add(mine)))
              wrote[mine].resolve()
              await wrote[other].promise

              const seen = await perform(names)

              expect(seen).toEqual([mine, 'seeded'])
            })
          }
        })

        const group = { seed: async () => ({ second: await perform(() => added('group')) }) }
        describe('a group with rows of its own', group, (test) => {
          test.each(['one', 'two'])('starts each test from them: %s', async (number, { first, second }) => {
            await perform(() => added(number))

            expect([first, second]).toEqual(['seeded', 'group'])
            expect(await perform(names)).toEqual(['group', number, 'seeded'].sort())
          })

          const inner = { seed: async () => ({ third: await perform(() => added('inner')) }) }
          describe('and a group inside it', inner, (test) => {
            test.each(['one', 'two'])('adds its own to those: %s', async (number, { first, third }) => {
              await perform(() => added(number))

              expect([first, third]).toEqual(['seeded', 'inner'])
              expect(await perform(names)).toEqual(['group', 'inner', number, 'seeded'].sort())
            })
          })
        })
      })
    }

    bunTest(
      `${backend}, ${subject.name}: nothing is left when the run is over`,
      async () => {
        const ended = await openRunDatabase({ env: { ...process.env, TESTING_DATABASE_URL: url } })
        await ended.create(async () => {})
        const opened = await subject.door.open(ended.url)
        await prepare(opened.session, dialect)
        await opened.close()
        await ended.freeze()
        const fork = dialect === 'postgres' ? await ended.fork() : undefined
        const before = await traces(ended.url)

        fork?.remove({ keep: false })
        await ended[Symbol.asyncDispose]()

        expect(before).not.toEqual([])
        expect(await traces(ended.url)).toEqual(url === 'sqlite::memory:' ? before : [])
      },
      60_000,
    )
  }
}

function* added(name: string): Steps<string> {
  yield* add(name)
  return name
}

/** What there is of a run, on disk or on the server. */
async function traces(url: string): Promise<string[]> {
  if (url === 'sqlite::memory:') return ['nothing but memory']
  if (url.startsWith('sqlite:')) return [dirname(url.slice('sqlite:'.length))].filter((folder) => existsSync(folder))
  const name = new URL(url).pathname.slice(1)
  const server = Object.assign(new URL(url), { pathname: '/postgres' })
  server.searchParams.delete('role') // which is gone with the run
  const client = connectPostgres(server.href, { max: 1 })
  const found = await client`
    select datname as name from pg_database where starts_with(datname, ${name})
    union all select rolname from pg_roles where starts_with(rolname, ${name})`
  await client.end()
  return found.map((row) => row.name)
}
