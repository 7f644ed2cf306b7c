import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { connect } from '../../src/database/database'
import { emptyDatabase, rowsOf } from '../own-database'
import { jwtSecret, seed, startServer, tenantry } from './program'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

/** The user of the run's server bypasses row level security where the kit has its connections take another role. */
const isSuperuser = URL.parse(process.env.DATABASE_URL ?? '')?.searchParams.has('role') === true
const serviceRole = `tenantry_${process.pid}`
const password = "it's %40 secret"

function asUser(url: string, user?: string): string {
  const address = new URL(url)
  address.searchParams.delete('role')
  if (user !== undefined) Object.assign(address, { username: user, password: encodeURIComponent(password) })
  return address.href
}

const env = { JWT_SECRET: jwtSecret, PORT: '0', LOG_LEVEL: 'info' }

describe.if(isSuperuser)('tenantry serve', () => {
  const roles: string[] = []
  afterAll(async () => {
    await using server = connect(asUser(process.env.DATABASE_URL ?? ''), { maxConnections: 1 })
    for (const role of roles)
      await server.root.session.run({ text: `drop role if exists ${role}`, params: [], shape: 'arrays' })
  })

  test('does not start as a superuser, whom row level security does not bind', async () => {
    await using database = await emptyDatabase()
    const DATABASE_URL = asUser(database.url)

    const refused = await tenantry(['serve'], { ...env, DATABASE_URL })
    await using served = await startServer({ ...env, DATABASE_URL, ROW_LEVEL_SECURITY: 'off' })

    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err.trimEnd().split('\n').at(-1)).toBe(
      'tenantry: Row level security does not hold for postgres, the role of DATABASE_URL, which is a superuser or has BYPASSRLS. Move this URL to MIGRATION_DATABASE_URL, and name in DATABASE_URL the role that the service is to have (postgres://tenantry:<a new password>@...): it is made at start. Or set ROW_LEVEL_SECURITY=off',
    )
    expect((await fetch(`${served.url}/health/ready`)).status).toBe(200)
  })

  test.each(['superuser', 'bypassrls'])('does not start as a role that is %s', async (attribute) => {
    await using database = await emptyDatabase()
    const role = `${serviceRole}_${attribute}`
    roles.push(role)
    const MIGRATION_DATABASE_URL = asUser(database.url)
    await using owner = connect(MIGRATION_DATABASE_URL, { maxConnections: 1 })
    await rowsOf(owner, `create role ${role} login ${attribute}`)

    const refused = await tenantry(['serve'], {
      ...env,
      DATABASE_URL: asUser(database.url, role),
      MIGRATION_DATABASE_URL,
    })

    expect(refused.code).toBe(1)
    expect(refused.err).toContain(`Row level security does not hold for ${role}, the role of DATABASE_URL, which is `)
  })

  test('makes the role that it is to have, which reads and writes rows and changes no table', async () => {
    await using database = await emptyDatabase()
    const MIGRATION_DATABASE_URL = asUser(database.url)
    const DATABASE_URL = asUser(database.url, serviceRole)
    roles.push(serviceRole)

    const migrated = await tenantry(['migrate'], { ...env, DATABASE_URL, MIGRATION_DATABASE_URL })
    await using first = await startServer({ ...env, DATABASE_URL, MIGRATION_DATABASE_URL })
    // The second does not know the owner, and there is nothing left to migrate.
    await using second = await startServer({ ...env, DATABASE_URL })

    const { token } = await seed(DATABASE_URL)
    const chats = await Promise.all(
      [first, second].map(({ url }) =>
        fetch(`${url}/api/v1/chat`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ message: 'Hello' }),
        }),
      ),
    )
    await using service = connect(DATABASE_URL)
    const forbidden = [
      'drop table users',
      'alter table users no force row level security',
      'delete from migrations',
      'create table t ()',
      'truncate messages',
    ]
    const refused = await Promise.all(
      forbidden.map((text) =>
        rowsOf(service, text).then(
          () => 'done',
          (error) => error.code,
        ),
      ),
    )
    const leakproof = await rowsOf(service, "select proleakproof from pg_proc where proname = 'ts_match_vq'")
    expect(migrated).toEqual({ code: 0, out: 'The database is up to date.\n', err: '' })
    expect(chats.map(({ status }) => status)).toEqual([200, 200])
    expect(leakproof).toEqual([{ proleakproof: true }]) // else search makes no use of its index
    expect(refused).toEqual(forbidden.map(() => '42501'))
  })

  test('lets commands export, erase and vacuum for a role that owns nothing', async () => {
    await using database = await emptyDatabase()
    const MIGRATION_DATABASE_URL = asUser(database.url)
    const DATABASE_URL = asUser(database.url, `${serviceRole}_commands`)
    roles.push(`${serviceRole}_commands`)
    const both = { ...env, DATABASE_URL, MIGRATION_DATABASE_URL }
    await tenantry(['demo'], both)
    const archive = join(database.folder, 'acme.jsonl')

    const ran = [
      await tenantry(['tenant', 'export', '--tenant=acme', `--to=${archive}`], both),
      await tenantry(['tenant', 'erase', '--tenant=acme', '--yes=acme', '--vacuum'], both),
      await tenantry(['tenant', 'import', `--from=${archive}`], both),
      await tenantry(['analytics', 'verify'], both),
    ]

    await using owner = connect(MIGRATION_DATABASE_URL, { maxConnections: 1 })
    const vacuumed = "select relname from pg_stat_user_tables where vacuum_count > 0 and relname = 'messages'"
    expect(ran.map(({ code, err }) => ({ code, err }))).toEqual(Array(4).fill({ code: 0, err: '' }))
    expect(await rowsOf(owner, 'select slug from tenants order by slug')).toEqual([
      { slug: 'acme' },
      { slug: 'globex' },
    ])
    expect(await rowsOf(owner, vacuumed)).toEqual([{ relname: 'messages' }])
  })

  test('erases nothing where it is to vacuum and does not know the owner, who alone may', async () => {
    await using database = await emptyDatabase()
    const MIGRATION_DATABASE_URL = asUser(database.url)
    const DATABASE_URL = asUser(database.url, `${serviceRole}_vacuum`)
    roles.push(`${serviceRole}_vacuum`)
    await tenantry(['demo'], { ...env, DATABASE_URL, MIGRATION_DATABASE_URL })

    const refused = await tenantry(['tenant', 'erase', '--tenant=acme', '--yes=acme', '--vacuum'], {
      ...env,
      DATABASE_URL,
    })

    await using owner = connect(MIGRATION_DATABASE_URL, { maxConnections: 1 })
    expect(refused).toEqual({
      code: 1,
      out: '',
      err: 'tenantry: Only the owner of the tables may vacuum them; set MIGRATION_DATABASE_URL to it. Nothing was erased.\n',
    })
    expect(await rowsOf(owner, 'select slug from tenants order by slug')).toEqual([
      { slug: 'acme' },
      { slug: 'globex' },
    ])
  })

  test('says whose migration it is where its own role may not bring the tables up to date', async () => {
    await using database = await emptyDatabase()
    const DATABASE_URL = asUser(database.url, `${serviceRole}_bare`)
    roles.push(`${serviceRole}_bare`)
    await using owner = connect(asUser(database.url), { maxConnections: 1 })
    await rowsOf(owner, `create role ${serviceRole}_bare login`)

    const refused = await tenantry(['serve'], { ...env, DATABASE_URL })

    expect(refused.code).toBe(1)
    expect(refused.err).toContain(
      'The role of DATABASE_URL may not bring the tables up to date; set MIGRATION_DATABASE_URL to their owner, or run tenantry migrate with it',
    )
  })
})
