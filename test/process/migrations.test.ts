import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type Connection, connect } from '../../src/database/database'
import { migrate } from '../../src/database/migrate'
import { migrations } from '../../src/database/migrations'
import { emptyDatabase, everything } from '../own-database'
import { jwtSecret, startServer, tenantry } from './program'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

const ways: [string, string[], Record<string, string>][] = [
  ['--no-migrate', ['--no-migrate'], {}],
  ['MIGRATE_ON_START=off', [], { MIGRATE_ON_START: 'off' }],
]

/** All but the statistics that SQLite keeps of its indexes, which every closing brings up to date. */
async function contents(connection: Connection) {
  const { sqlite_stat1: _, ...tables } = await everything(connection)
  return tables
}

describe.each(ways)('a start with %s', (_way, args, env) => {
  test.each<[string, typeof migrations]>([
    ['an empty database', []],
    ['a database that lacks the last migration', migrations.slice(0, -1)],
  ])('refuses %s in one line, and changes nothing', async (_what, applied) => {
    await using database = await emptyDatabase()
    await using connection = connect(database.url)
    if (applied.length > 0) await migrate(connection.root, applied)
    const before = await contents(connection)

    const ran = await tenantry(['serve', ...args], { JWT_SECRET: jwtSecret, DATABASE_URL: database.url, ...env })

    const lacking = migrations.slice(applied.length)
    expect(ran).toEqual({
      code: 1,
      out: '',
      err: `tenantry: The database lacks ${lacking.length} migrations (first ${lacking[0]?.tag}), and this start is not to apply them; run tenantry migrate, or start with MIGRATE_ON_START=on\n`,
    })
    expect(await contents(connection)).toEqual(before)
  })

  test('serves once the database is up to date', async () => {
    await using database = await emptyDatabase()
    const migrated = await tenantry(['migrate'], { DATABASE_URL: database.url })

    await using served = await startServer({ DATABASE_URL: database.url, ...env }, { args })

    expect(migrated.code).toBe(0)
    expect((await fetch(`${served.url}/health/ready`)).status).toBe(200)
    expect(served.log.join('\n')).not.toContain('was migrated')
  })
})

describe('MIGRATE_ON_START=off', () => {
  test.each<[string, string[]]>([
    ['tenant create', ['--name=Acme', '--slug=acme']],
    ['analytics verify', []],
  ])('has other commands leave a database as it is that is not up to date: %s', async (command, options) => {
    const args = [...command.split(' '), ...options]
    await using database = await emptyDatabase()
    await using connection = connect(database.url)
    await migrate(connection.root, migrations.slice(0, -1))
    const before = await contents(connection)
    const env = { DATABASE_URL: database.url, MIGRATE_ON_START: 'off' }

    const refused = await tenantry(args, env)
    const after = await contents(connection)
    const migrated = await tenantry(['migrate'], env)
    const ran = await tenantry(args, env)

    expect(refused).toEqual({
      code: 1,
      out: '',
      err: `tenantry: The database lacks 1 migrations (first ${migrations.at(-1)?.tag}), and this start is not to apply them; run tenantry migrate, or start with MIGRATE_ON_START=on\n`,
    })
    expect(after).toEqual(before)
    expect([migrated.code, ran.code]).toEqual([0, 0])
  })
})
