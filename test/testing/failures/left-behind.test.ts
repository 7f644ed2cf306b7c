import { afterAll, afterEach, test as anyTest, beforeAll, describe, expect } from 'bun:test'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { embeddedPostgres } from '../../../src/testing/postgres-server'
import { backend, bunTest, childEnv, fixtures } from './child'

// They look at what is on the machine, of which there is one.
const test = anyTest.serial

const shared = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** A server of somebody else's, as far as the runs under test know. */
const server = embeddedPostgres()
await server.started
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
  const mine = readdirSync(folder).filter((name) => !/^(child-|testing-postgres-(cluster|kept)-|bun-)/.test(name))
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

/** A run that says when it waits, and then gets this signal. */
async function killed(
  signal: 'SIGINT' | 'SIGKILL',
  database: string,
  { file = 'quiet.ts', env = {} }: { file?: string; env?: Record<string, string> } = {},
): Promise<number> {
  const child = Bun.spawn([process.execPath, 'test', `./${file}`], {
    cwd: fixtures,
    env: childEnv({ TESTING_DATABASE_URL: database, TMPDIR: folder, WAIT: '1', ...env }),
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
      60_000,
    )

    test.each(['SIGINT', 'SIGKILL'] as const)(
      'that was ended by %s',
      async (signal) => {
        const pid = await killed(signal, database)

        expect(await eventually(() => leftBy(pid, folder), none)).toEqual([])
        expect(await eventually(databases, ({ length }) => length === 2)).toEqual(['notes', 'notes_test_of_mine'])
      },
      60_000,
    )
  })
})

describe.if(backend === 'sqlite::memory:')('tables that are kept between runs', () => {
  const env = { MADE_FROM: 'app.ts', TMPDIR: folder }
  const codes = (runs: { exitCode: number }[]) => runs.map(({ exitCode }) => exitCode)
  const run = (fixture: string, more = {}) => bunTest(fixture, { database: backend, env: { ...env, ...more } })
  const kept = () => readdirSync(folder).filter((name) => name.startsWith('testing-sqlite-kept-'))
  afterEach(() => {
    for (const name of kept()) rmSync(join(folder, name))
  })

  test('are those of the next run, which makes none', async () => {
    const withoutThem = await run('prepare.ts')
    const first = await run('quiet.ts')
    const [name] = kept()
    const withThem = await run('prepare.ts')
    const again = await run('quiet.ts')

    expect(codes([withoutThem, first, withThem, again])).toEqual([1, 0, 0, 0])
    expect(kept()).toEqual([String(name)])
    expect(statSync(join(folder, String(name))).mode & 0o777).toBe(0o600)
  }, 60_000)

  test('are not those of a run for other files', async () => {
    await run('quiet.ts')

    const other = await run('prepare.ts', { MADE_FROM: 'prepare.ts' })

    expect(other.exitCode).toBe(1)
    expect(kept()).toHaveLength(1)
  }, 60_000)

  test('are made again where the file is not whole', async () => {
    await run('quiet.ts')
    const path = join(folder, String(kept()[0]))
    truncateSync(path, 5000)

    const [damaged, repaired, withThem] = [await run('prepare.ts'), await run('quiet.ts'), await run('prepare.ts')]

    expect(codes([damaged, repaired, withThem])).toEqual([1, 0, 0])
  }, 60_000)

  test('are removed by a run that makes others, when nobody has used them for a week', async () => {
    await run('quiet.ts')
    const [old] = kept()
    const weekAgo = new Date(Date.now() - 7.5 * 24 * 60 * 60 * 1000)
    utimesSync(join(folder, String(old)), weekAgo, weekAgo)

    await run('quiet.ts', { MADE_FROM: 'quiet.ts' })

    expect(kept()).toHaveLength(1)
    expect(kept()).not.toEqual([old])
  }, 60_000)

  test('are not of a run that does not say what they are made from, nor of one in a file', async () => {
    await run('quiet.ts', { MADE_FROM: '' })
    await bunTest('quiet.ts', { database: `sqlite:${join(folder, 'x.db')}`, env })

    expect(kept()).toEqual([])
  }, 60_000)
})

describe.if(backend === 'postgres:embedded')('tables that are kept between runs', () => {
  const env = { MADE_FROM: 'app.ts', TMPDIR: folder }
  const isKept = (name: string) => /^notes_test_[0-9a-f]{12}$/.test(name)
  const templates = async () => (await databases()).filter(isKept)
  const roles = async () =>
    (await admin.unsafe("select rolname from pg_roles where rolname like 'notes%'")).map(({ rolname }) => rolname)
  const remove = async () => {
    for (const name of await templates()) await admin.unsafe(`drop database "${name}"`)
    for (const name of await roles()) await admin.unsafe(`drop role "${name}"`)
  }
  afterEach(remove)

  test('are made by the first run, and all that it leaves', async () => {
    const { exitCode } = await bunTest('quiet.ts', { database: url, env })

    const [name] = await templates()
    expect(exitCode).toBe(0)
    expect(await eventually(databases, ({ length }) => length === 3)).toEqual(
      ['notes', String(name), 'notes_test_of_mine'].sort(),
    )
    expect(await roles()).toEqual([name])
  }, 60_000)

  test('are those of the next run, which makes none', async () => {
    const withoutThem = await bunTest('prepare.ts', { database: url, env })
    await bunTest('quiet.ts', { database: url, env })
    const withThem = await bunTest('prepare.ts', { database: url, env })
    const again = await bunTest('quiet.ts', { database: url, env })

    expect([withoutThem, withThem, again].map(({ exitCode }) => exitCode)).toEqual([1, 0, 0])
  }, 60_000)

  test('are made once by runs that come together', async () => {
    const runs = await Promise.all([1, 2, 3].map(() => bunTest('quiet.ts', { database: url, env })))

    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
    expect(await templates()).toHaveLength(1)
  }, 60_000)

  test.each(['SIGINT', 'SIGKILL'] as const)(
    'are all that a run leaves that was ended by %s',
    async (signal) => {
      await killed(signal, url, { env })

      expect(await eventually(databases, ({ length }) => length === 3)).toHaveLength(3)
      expect(await templates()).toHaveLength(1)
    },
    60_000,
  )

  test('are not those of a run that was killed while it made them', async () => {
    await killed('SIGKILL', url, { file: 'stuck.ts', env })
    const left = await eventually(databases, ({ length }) => length === 2)

    const { exitCode } = await bunTest('quiet.ts', { database: url, env })

    expect(left).toEqual(['notes', 'notes_test_of_mine'])
    expect({ exitCode, templates: await templates() }).toEqual({
      exitCode: 0,
      templates: [expect.stringContaining('notes_test_')],
    })
  }, 60_000)

  test('make way for other tables', async () => {
    await bunTest('quiet.ts', { database: url, env })
    const before = await templates()

    await bunTest('quiet.ts', { database: url, env: { ...env, MADE_FROM: 'kit.ts' } })

    const after = await eventually(templates, ({ length }) => length === 1)
    expect(after).toHaveLength(1)
    expect(after).not.toEqual(before)
    expect(await roles()).toEqual(after)
  }, 60_000)

  test('stay while another run lives, which may be about to copy them', async () => {
    const child = Bun.spawn([process.execPath, 'test', './quiet.ts'], {
      cwd: fixtures,
      env: childEnv({ ...env, TESTING_DATABASE_URL: url, WAIT: '1' }),
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    for await (const bytes of child.stdout) if (new TextDecoder().decode(bytes).includes('waiting')) break

    await bunTest('quiet.ts', { database: url, env: { ...env, MADE_FROM: 'kit.ts' } })

    const both = await templates()
    child.kill('SIGKILL')
    await child.exited
    expect(both).toHaveLength(2)
    expect(await eventually(databases, ({ length }) => length === 4)).toHaveLength(4)
  }, 60_000)

  test('are never taken from a database of the same name that somebody else made', async () => {
    await bunTest('quiet.ts', { database: url, env })
    const [name] = await templates()
    await remove()
    await admin.unsafe(`create database "${name}"`)
    const found = () => admin.unsafe(`select oid, datname from pg_database where datname = '${name}'`)
    const before = await found()

    const { exitCode, output } = await bunTest('quiet.ts', { database: url, env })

    expect(exitCode).toBe(1)
    expect(output).toContain(`The test kit would keep its tables in a database "${name}"`)
    expect([...(await found())]).toEqual([...before])
    expect(before).toHaveLength(1)
  }, 60_000)

  test('are in the files of the embedded server, too', async () => {
    chmodSync(folder, 0o777) // its owner is not who runs the tests
    const withoutThem = await bunTest('prepare.ts', { database: 'postgres:embedded', env })
    const { pid } = await bunTest('quiet.ts', { database: 'postgres:embedded', env })
    const kept = () => readdirSync(folder).filter((name) => name.startsWith('testing-postgres-kept-'))

    expect(await eventually(kept, ({ length }) => length === 1)).toHaveLength(1)
    expect(await eventually(() => leftBy(pid, folder), none)).toEqual([])
    const withThem = await bunTest('prepare.ts', { database: 'postgres:embedded', env })
    const again = await bunTest('quiet.ts', { database: 'postgres:embedded', env })
    expect([withoutThem, withThem, again].map(({ exitCode }) => exitCode)).toEqual([1, 0, 0])
    expect(await eventually(() => leftBy(again.pid, folder), none)).toEqual([])
  }, 60_000)
})

describe.if(backend === 'postgres:embedded')('a run that ends before its server has started', () => {
  test.each([0, 10, 30, 60, 100])('leaves nothing: after %d ms', async (ms) => {
    const child = Bun.spawn([process.execPath, 'early.ts', String(ms)], { cwd: fixtures, env: childEnv({}) })
    await child.exited

    expect(await eventually(() => leftBy(child.pid, folder), none)).toEqual([])
  })
})

describe.if(backend === 'postgres:embedded')(
  'a run that is killed while it makes the first cluster of a machine',
  () => {
    test.each([20, 150, 400, 800])('leaves none that is not whole: after %d ms', async (ms) => {
      const machine = mkdtempSync(join(tmpdir(), 'first-'))
      const child = Bun.spawn([process.execPath, 'early.ts', '5000'], {
        cwd: fixtures,
        env: childEnv({ TMPDIR: machine }),
      })
      await Bun.sleep(ms)
      child.kill('SIGKILL')
      await child.exited

      expect(await eventually(() => leftBy(child.pid, machine), none)).toEqual([])
      const parts = () => readdirSync(machine).filter((name) => name.endsWith(`.${child.pid}`))
      expect(await eventually(parts, none)).toEqual([])
      rmSync(machine, { recursive: true })
    })
  },
)

/** No machine has so many processes. */
const stranger = join(shared, 'testing-postgres-99999999-1')

describe.if(backend === 'postgres:embedded')('the folder of a run that is not seen, nor its server', () => {
  afterEach(() => rmSync(stranger, { recursive: true, force: true }))

  test.each([
    ['stays while it may start', { minutes: 9, ready: false }, true],
    ['goes when it cannot start any more', { minutes: 11, ready: false }, false],
    ['stays where the server may be in another container', { minutes: 23 * 60, ready: true }, true],
    ['goes after a day', { minutes: 25 * 60, ready: true }, false],
  ])('%s', async (_, { minutes, ready }, stays) => {
    mkdirSync(stranger)
    if (ready) writeFileSync(join(stranger, 'ready'), '')
    const before = new Date(Date.now() - minutes * 60 * 1000)
    utimesSync(stranger, before, before)

    await bunTest('quiet.ts', { database: 'postgres:embedded', env: { TMPDIR: folder } })

    expect(existsSync(stranger)).toBe(stays)
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
  }, 60_000)

  test('is nothing of the embedded server, which is gone when somebody could look', async () => {
    const { says } = await bunTest('forked.ts', { database: 'postgres:embedded' })

    expect(says.fails).toContain('What the test did:')
    expect(says.fails).not.toContain('kept')
  }, 60_000)

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
  }, 60_000)
})
