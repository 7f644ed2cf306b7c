import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { emptyDatabase, everything, rowsOf } from '../own-database'
import { seed, startServer, tenantry } from './program'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

const exported = (url: string, file: string, slug = 'acme') =>
  tenantry(['tenant', 'export', '--tenant', slug, '--to', file], { DATABASE_URL: url })
const imported = (url: string, file: string, ...more: string[]) =>
  tenantry(['tenant', 'import', '--from', file, ...more], { DATABASE_URL: url })
const linesOf = (file: string) => readFileSync(file, 'utf8').trimEnd().split('\n')
const rightOf = (url: string) => tenantry(['analytics', 'verify'], { DATABASE_URL: url })
const right = { code: 0, out: 'The rollups agree with the records.\n', err: '' }

describe('a tenant that moves', () => {
  test('from one database to another is there with all it had, and says what was done', async () => {
    await using from = await emptyDatabase()
    await using to = await emptyDatabase()
    await tenantry(['demo'], { DATABASE_URL: from.url })
    const [file, again] = [join(from.folder, 'acme.jsonl'), join(from.folder, 'again.jsonl')]

    const ran = [await exported(from.url, file), await imported(to.url, file)]

    await exported(to.url, again)
    expect(ran).toEqual([
      {
        code: 0,
        out: expect.stringMatching(
          new RegExp(`^Exported acme to ${file}: \\d+ rows, \\d+ bytes\\. No plugin of this tenant has secrets\\.\\n$`),
        ),
        err: '',
      },
      { code: 0, out: expect.stringMatching(/^Imported acme \([0-9a-f-]{36}\): \d+ rows\.\n$/), err: '' },
    ])
    expect(linesOf(again).slice(1)).toEqual(linesOf(file).slice(1))
    expect(await rightOf(to.url)).toEqual(right)
  })

  test('while it is written to goes as it was at one moment', async () => {
    await using from = await emptyDatabase()
    await using to = await emptyDatabase()
    const { token } = await seed(from.url)
    await using server = await startServer({ DATABASE_URL: from.url })
    let acknowledged = 0
    let over = false
    const talking = Array.from({ length: 4 }, async () => {
      while (!over) {
        const response = await fetch(`${server.url}/api/v1/chat`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ message: 'Hello' }),
        })
        if (response.status !== 200) throw new Error(`A chat was answered with ${response.status}.`)
        await response.text()
        acknowledged++
      }
    })
    while (acknowledged < 50) await Bun.sleep(1)
    const file = join(from.folder, 'acme.jsonl')
    const before = acknowledged

    const ran = await exported(from.url, file)

    const after = acknowledged
    over = true
    await Promise.all(talking)
    const said = linesOf(file).filter(
      (line) => line.startsWith('{"table":"messages"') && line.includes('"role":"user"'),
    )
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(after).toBeGreaterThan(before)
    expect(said.length).toBeGreaterThanOrEqual(before)
    expect(await imported(to.url, file)).toMatchObject({ code: 0, err: '' })
    expect(await rightOf(to.url)).toEqual(right)
  })

  test('comes in whole or not at all', async () => {
    await using from = await emptyDatabase()
    await using to = await emptyDatabase()
    await tenantry(['demo'], { DATABASE_URL: from.url })
    await tenantry(['migrate'], { DATABASE_URL: to.url })
    const [file, cut] = [join(from.folder, 'acme.jsonl'), join(from.folder, 'cut.jsonl')]
    await exported(from.url, file)
    const text = readFileSync(file, 'utf8')
    writeFileSync(cut, text.slice(0, text.length - 20))
    const before = await contents(to.url)

    const ran = await imported(to.url, cut)

    expect(ran).toEqual({
      code: 1,
      out: '',
      err: `tenantry: ${cut}: line ${linesOf(file).length} is no JSON; nothing was imported\n`,
    })
    expect(await contents(to.url)).toEqual(before)
    expect(await imported(to.url, file, '--slug', 'moved')).toMatchObject({ code: 0 })
    expect(await rowsIn(to.url, 'select slug from tenants')).toEqual([{ slug: 'moved' }])
  })
})

describe.if(dialect === 'postgres')('a tenant that moves between databases of two kinds', () => {
  test('is the same after it went to SQLite and back', async () => {
    await using postgres = await emptyDatabase()
    await using back = await emptyDatabase()
    await tenantry(['demo'], { DATABASE_URL: postgres.url })
    const sqlite = `sqlite:${join(postgres.folder, 'moved.db')}`
    const [first, second, third] = ['1', '2', '3'].map((name) => join(postgres.folder, `${name}.jsonl`))

    const ran = [
      await exported(postgres.url, String(first)),
      await imported(sqlite, String(first)),
      await exported(sqlite, String(second)),
      await imported(back.url, String(second)),
      await exported(back.url, String(third)),
    ]

    const rows = [first, second, third].map((file) => linesOf(String(file)).slice(1))
    expect(ran.map(({ code, err }) => ({ code, err }))).toEqual(ran.map(() => ({ code: 0, err: '' })))
    expect(rows[0]?.length).toBeGreaterThan(100)
    expect(rows[1]).toEqual(rows[0])
    expect(rows[2]).toEqual(rows[0])
    expect([await rightOf(sqlite), await rightOf(back.url)]).toEqual([right, right])
  })
})

describe('a tenant that is erased', () => {
  test('is out of a running server, and the other tenant is as it was', async () => {
    await using database = await emptyDatabase()
    const { token, tenant_id } = await seed(database.url)
    await tenantry(['tenant', 'create', '--name', 'Globex', '--slug', 'globex'], { DATABASE_URL: database.url })
    const exportDir = join(database.folder, 'exports')
    mkdirSync(join(exportDir, tenant_id), { recursive: true })
    writeFileSync(join(exportDir, tenant_id, 'usage.csv'), 'day\n')
    await using server = await startServer({ DATABASE_URL: database.url })
    const chat = async () => {
      const response = await fetch(`${server.url}/api/v1/chat`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ message: 'Hello' }),
      })
      return response.status
    }
    const before = await chat()

    const ran = await tenantry(['tenant', 'erase', '--tenant', 'acme', '--yes', 'acme'], {
      DATABASE_URL: database.url,
      EXPORT_DIR: exportDir,
    })

    expect([before, await chat()]).toEqual([200, 403])
    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(ran.out).toMatch(/^tenants +1 before, 0 after$/m)
    expect(ran.out).toMatch(/^messages +2 before, 0 after$/m)
    expect(ran.out).toMatch(/^files +1 before, 0 after$/m)
    expect(ran.out).toMatch(
      new RegExp(
        `^The tenant acme \\(${tenant_id}\\) is erased\\. The others \\(1\\) have the \\d+ rows that they had, `,
        'm',
      ),
    )
    expect(existsSync(join(exportDir, tenant_id))).toBe(false)
    expect(await rowsIn(database.url, 'select slug from tenants')).toEqual([{ slug: 'globex' }])
  })

  test.if(dialect === 'postgres')('may take longer than a request may, unless the address says otherwise', async () => {
    await using database = await emptyDatabase()
    await seed(database.url)
    {
      await using connection = connect(database.url)
      const needs = "if current_setting('statement_timeout') <> '0' then raise 'it would be ended'; end if; return old;"
      await rowsOf(connection, `create function need() returns trigger language plpgsql as $$ begin ${needs} end $$`)
      await rowsOf(connection, 'create trigger need before delete on users for each row execute function need()')
    }
    const limited = new URL(database.url)
    limited.searchParams.set('statement_timeout', '60000')
    const erase = ['tenant', 'erase', '--tenant=acme', '--yes=acme']

    const refused = await tenantry(erase, { DATABASE_URL: limited.href })
    const ran = await tenantry(erase, { DATABASE_URL: database.url })

    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(ran).toMatchObject({ code: 0, err: '' })
  })

  test('does not disturb the chats of another', async () => {
    await using database = await emptyDatabase()
    const env = { DATABASE_URL: database.url }
    const { token } = await seed(database.url)
    await using from = await emptyDatabase()
    await tenantry(['demo'], { DATABASE_URL: from.url })
    const file = join(from.folder, 'globex.jsonl')
    await exported(from.url, file, 'globex')
    await imported(database.url, file)
    const statuses: number[] = []
    let over = false
    {
      await using server = await startServer(env)
      const talking = Array.from({ length: 4 }, async () => {
        while (!over) {
          const response = await fetch(`${server.url}/api/v1/chat`, {
            method: 'POST',
            headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
            body: JSON.stringify({ message: 'Hello' }),
          })
          await response.text()
          statuses.push(response.status)
        }
      })
      while (statuses.length < 20) await Bun.sleep(1)
      const before = statuses.length

      const ran = await tenantry(['tenant', 'erase', '--tenant=globex', '--yes=globex'], env)

      const after = statuses.length
      over = true
      await Promise.all(talking)
      server.kill('SIGTERM')
      await server.exited
      expect(ran).toMatchObject({ code: 0, err: '' })
      expect(after).toBeGreaterThan(before)
    }
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    expect(await rightOf(database.url)).toEqual(right)
    expect(await rowsIn(database.url, 'select count(*) as count from messages')).toEqual([
      { count: dialect === 'sqlite' ? statuses.length * 2 : String(statuses.length * 2) },
    ])
  })

  test.if(dialect === 'sqlite')('is in no file of the database either after a vacuum', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    const word = 'Zwetschgenknödel'
    {
      await using server = await startServer({ DATABASE_URL: database.url })
      await fetch(`${server.url}/api/v1/chat`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ message: `Tell me of ${word}` }),
      })
    }
    // The index has words as it folds them.
    const holding = () =>
      readdirSync(database.folder).filter((name) =>
        readFileSync(join(database.folder, name), 'utf8').toLowerCase().includes(word.toLowerCase()),
      )
    const before = holding()

    const ran = await tenantry(['tenant', 'erase', '--tenant=acme', '--yes=acme', '--vacuum'], {
      DATABASE_URL: database.url,
    })

    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(before.length).toBeGreaterThan(0)
    expect(holding()).toEqual([])
  })
})

async function contents(url: string) {
  await using connection = connect(url)
  return await everything(connection)
}

async function rowsIn(url: string, text: string) {
  await using connection = connect(url)
  return await rowsOf(connection, text)
}
