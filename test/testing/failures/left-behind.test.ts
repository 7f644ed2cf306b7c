import { afterAll, test as anyTest, beforeAll, describe, expect } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { embeddedPostgres } from '../../../src/testing/postgres-server'
import { backend, bunTest, childEnv, fixtures } from './child'

// They look at what is on the machine, of which there is one.
const test = anyTest.serial

const shared = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** A server of somebody else's, as far as the runs under test know. */
const server = await embeddedPostgres()
const admin = postgres({ host: server.socket, user: 'postgres', database: 'postgres', max: 1, onnotice() {} })
const url = server.url('notes')

beforeAll(async () => {
  await admin.unsafe('create database notes')
  await admin.unsafe('create database notes_test_of_mine')
})
afterAll(async () => {
  await admin.unsafe('drop database notes')
  await admin.unsafe('drop database notes_test_of_mine')
  await admin.end()
})

const databases = async () =>
  (await admin.unsafe("select datname from pg_database where datname like 'notes%' order by datname")).map(
    ({ datname }) => datname,
  )

/** What a run with this folder for temporary files leaves in it, and servers that are there because of it. */
function leftBy(pid: number, folder: string): string[] {
  const mine = readdirSync(folder).filter((name) => !/^(child-|testing-postgres-cluster-|bun-)/.test(name))
  return [...mine, ...readdirSync(shared).filter((name) => name.startsWith(`testing-postgres-${pid}-`))]
}

/** What is removed by somebody who outlives the run takes a moment. */
async function eventually<T>(look: () => T | Promise<T>, done: (seen: T) => boolean): Promise<T> {
  for (let left = 400; ; left--) {
    const seen = await look()
    if (done(seen) || left === 0) return seen
    await Bun.sleep(25)
  }
}
const none = (list: unknown[]) => list.length === 0

/** A run that waits in its second test until it gets this signal. */
async function killed(signal: 'SIGINT' | 'SIGKILL', database: string, folder: string): Promise<number> {
  const child = Bun.spawn([process.execPath, 'test', './quiet.ts'], {
    cwd: fixtures,
    env: childEnv({ TESTING_DATABASE_URL: database, TMPDIR: folder, WAIT: '1' }),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  for await (const bytes of child.stdout) {
    said += new TextDecoder().decode(bytes)
    if (said.includes('waiting')) break
  }
  child.kill(signal)
  await child.exited
  return child.pid
}

/** A folder for temporary files that is the run's alone; the cluster in it is made only once. */
const folder = mkdtempSync(join(tmpdir(), 'left-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const databasesOfRuns = { 'sqlite::memory:': ['sqlite:notes.db'], 'postgres:embedded': ['postgres:embedded', url] }[
  backend
]

describe('nothing is left', () => {
  describe.each(databasesOfRuns)('of a run on %s', (database) => {
    test.each([
      ['passed', 'quiet.ts', 0, []],
      ['passed twice', 'quiet.ts', 0, ['--rerun-each=2']],
      ['failed', 'errors.ts', 1, []],
      ['could not make its tables', 'prepare.ts', 1, []],
    ])(
      'that %s',
      async (_, file, code, args) => {
        const { exitCode, pid } = await bunTest(file, { database, args: [...args], env: { TMPDIR: folder } })

        expect(exitCode).toBe(code)
        expect(await eventually(() => leftBy(pid, folder), none)).toEqual([])
        expect(await eventually(databases, ({ length }) => length === 2)).toEqual(['notes', 'notes_test_of_mine'])
      },
      20_000,
    )

    test.each(['SIGINT', 'SIGKILL'] as const)(
      'that was ended by %s',
      async (signal) => {
        const pid = await killed(signal, database, folder)

        expect(await eventually(() => leftBy(pid, folder), none)).toEqual([])
        expect(await eventually(databases, ({ length }) => length === 2)).toEqual(['notes', 'notes_test_of_mine'])
      },
      20_000,
    )
  })
})

describe.if(backend === 'postgres:embedded')('what is kept', () => {
  test('is the database of a forked test that failed, and its URL is printed', async () => {
    const { says } = await bunTest('forked.ts', { database: url })

    const kept = /Its database was kept: (\S+)/.exec(says.fails ?? '')?.[1] ?? ''
    const name = new URL(kept).pathname.slice(1)
    const client = postgres({ host: server.socket, user: 'postgres', database: name, max: 1 })
    const rows = (await client.unsafe('select text from notes order by id')).map(({ text }) => text)
    expect(rows).toEqual(['seeded', 'to look at'])
    expect(await databases()).toEqual(['notes', 'notes_test_of_mine', name].sort())
    await client.end()
    await admin.unsafe(`drop database "${name}"`)
  }, 20_000)

  test('is all of it with TESTING_KEEP_DATABASE=1', async () => {
    const env = { TESTING_KEEP_DATABASE: '1', TMPDIR: folder }
    const onServer = await bunTest('quiet.ts', { database: url, env })
    const inFile = await bunTest('quiet.ts', { database: 'sqlite:notes.db', env })

    const [name, file] = [onServer, inFile].map(
      ({ output }) => /The run's database was kept: \S*?([^/\s?]+|\/\S+\.db)(?:\?\S*)?$/m.exec(output)?.[1] ?? '',
    )
    expect(await databases()).toContain(name)
    expect(readFileSync(`${file}`).subarray(0, 15).toString()).toBe('SQLite format 3')
    for (const database of await databases()) {
      if (database.startsWith('notes_test_1')) await admin.unsafe(`drop database "${database}"`)
    }
    rmSync(join(`${file}`, '..'), { recursive: true })
  }, 20_000)
})
