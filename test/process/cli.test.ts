import { afterAll, test as anyTest, beforeAll, describe, expect, setDefaultTimeout } from 'bun:test'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { tokenVerifier } from '../../src/auth/tokens'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { openEgress } from '../../src/egress/open'
import { emptyDatabase, everything, rowsOf } from '../own-database'
import { jwtSecret, tenantry } from './program'

// They share a database.
const test = anyTest.serial

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\n$/

const shared = await emptyDatabase()
afterAll(() => shared[Symbol.asyncDispose]())
const env = { DATABASE_URL: shared.url, JWT_SECRET: jwtSecret }

const create = {
  tenant: ['tenant', 'create', '--name', 'Acme', '--slug', 'acme'],
  user: [
    'user',
    'create',
    '--tenant',
    'acme',
    '--external-id',
    'ada',
    '--email',
    'ada@acme.example',
    '--role',
    'admin',
  ],
}

beforeAll(async () => {
  await tenantry(create.tenant, env)
  await tenantry(create.user, env)
  await tenantry(['tenant', 'create', '--name=Globex', '--slug=globex'], env)
  await tenantry(
    ['user', 'create', '--tenant=globex', '--external-id=gus', '--email=gus@globex.example', '--role=admin'],
    env,
  )
})

const commands = [
  'serve',
  'health',
  'migrate',
  'tenant create',
  'user create',
  'token',
  'keys rotate',
  'backup',
  'tenant export',
  'tenant import',
  'tenant erase',
  'demo',
  'analytics verify',
]

describe('help', () => {
  test.each(['', '--help', 'help'])('after "%s" is the list of all commands', async (word) => {
    const { code, out, err } = await tenantry(word.split(' ').filter(Boolean), {})

    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect([...out.matchAll(/^ {2}(\S+(?: \S+)*) {2,}\S/gm)].map(([, name]) => name)).toEqual(commands)
  })

  test('on each command names its options and touches nothing', async () => {
    const answers = await Promise.all(
      commands.map((command) => tenantry([...command.split(' '), '--help'], { DATABASE_URL: 'sqlite:/nowhere/x.db' })),
    )

    const options = answers.map(({ out }) => [...out.matchAll(/^ {2}--(\S+)/gm)].map(([, option]) => option))
    expect(answers.map(({ code, err }) => ({ code, err }))).toEqual(commands.map(() => ({ code: 0, err: '' })))
    expect(options).toEqual([
      ['demo', 'no-migrate'],
      [],
      [],
      ['name', 'slug'],
      ['tenant', 'external-id', 'email', 'role'],
      ['tenant', 'user', 'role', 'ttl'],
      [],
      [],
      ['tenant', 'to', 'without-secrets'],
      ['from', 'slug', 'without-secrets'],
      ['tenant', 'yes', 'vacuum'],
      [],
      ['tenant', 'repair'],
    ])
  })
})

describe('a command that cannot be carried out', () => {
  const user = (change: Record<string, string>) => [
    'user',
    'create',
    ...Object.entries({ tenant: 'acme', 'external-id': 'bo', email: 'bo@acme.example', role: 'viewer', ...change }).map(
      ([option, value]) => `--${option}=${value}`,
    ),
  ]
  const token = (...more: string[]) => ['token', '--tenant=acme', '--user=ada', ...more]

  test.each([
    ['a command that is none', ['frobnicate'], 'there is no command "frobnicate"; try tenantry --help'],
    ['half a command', ['tenant'], 'there is no command "tenant"; try tenantry --help'],
    ['a name that every object has', ['constructor'], 'there is no command "constructor"; try tenantry --help'],
    ['an option of no command', ['--verbose'], 'there is no command "--verbose"; try tenantry --help'],
    ['missing options', ['tenant', 'create'], 'missing --name, --slug; try tenantry tenant create --help'],
    [
      'an empty option',
      ['tenant', 'create', '--name=', '--slug=x'],
      'missing --name; try tenantry tenant create --help',
    ],
    ['an unknown option', ['migrate', '--force'], "Unknown option '--force'"],
    ['an unknown word', ['migrate', 'now'], "Unexpected argument 'now'"],
    [
      'an option without its value',
      ['tenant', 'create', '--name', '--slug', 'x'],
      "Option '--name' argument is ambiguous",
    ],
    ['an unknown role', user({ role: 'owner' }), '--role must be one of viewer, operator, admin'],
    ['an address that is none', user({ email: 'bo' }), '--email is not valid'],
    ['an unknown tenant', user({ tenant: 'nobody' }), 'There is no such tenant.'],
    [
      'a taken external id',
      user({ 'external-id': 'ada' }),
      'A user with this external_id or email is in the tenant already.',
    ],
    ['a taken slug', create.tenant, 'There is a tenant with the slug acme already.'],
    [
      'a slug that is none',
      ['tenant', 'create', '--name=X', '--slug=-Acme-'],
      'A slug has 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end.',
    ],
    [
      'a name that its settings could not show',
      ['tenant', 'create', `--name=${'x'.repeat(201)}`, '--slug=long'],
      'The name of a tenant has 1 to 200 characters.',
    ],
    ['a token for a tenant that is not there', ['token', '--tenant=nobody', '--user=ada'], 'There is no such tenant.'],
    ['a token for a user who is not there', ['token', '--tenant=acme', '--user=adda'], 'There is no such user.'],
    ["a token for another tenant's user", ['token', '--tenant=acme', '--user=gus'], 'There is no such user.'],
    ['a token for an unknown role', token('--role=root'), '--role must be one of viewer, operator, admin'],
    ['a token that lives no second', token('--ttl=0'), '--ttl must be 1 to 86400 seconds'],
    ['a token that lives longer than a day', token('--ttl=86401'), '--ttl must be 1 to 86400 seconds'],
    ['a token that lives for a word', token('--ttl=1e3'), '--ttl must be 1 to 86400 seconds'],
    ['a backup to nowhere', ['backup'], 'missing <file>; try tenantry backup --help'],
    ['a backup to two files', ['backup', 'a', 'b'], "Unexpected argument 'b'"],
    ['an export of nobody', ['tenant', 'export', '--tenant=nobody', '--to=/tmp/nobody'], 'There is no such tenant.'],
    [
      'an import of nothing',
      ['tenant', 'import', '--from=/nowhere/x.jsonl'],
      '/nowhere/x.jsonl cannot be read: ENOENT',
    ],
    [
      'an erasure that is not meant',
      ['tenant', 'erase', '--tenant=acme', '--yes=acne'],
      '--yes is not the slug in --tenant; nothing was erased',
    ],
    ['an erasure of nobody', ['tenant', 'erase', '--tenant=nobody', '--yes=nobody'], 'There is no such tenant.'],
    ['new keys without a key', ['keys', 'rotate'], 'ENCRYPTION_KEY is not set; set it to the key that is to seal'],
    ['demo data over tenants', ['demo'], 'the database has tenants already; demo only fills an empty one'],
  ])('says why in one line: %s', async (_, args, reason) => {
    await using connection = connect(shared.url)
    const before = await everything(connection)

    const ran = await tenantry(args, env)

    expect(ran).toEqual({ code: 1, out: '', err: `tenantry: ${reason}\n` })
    expect(await everything(connection)).toEqual(before)
  })
})

describe('tenant create and user create', () => {
  test('print the id of what they made, and nothing else', async () => {
    const tenant = await tenantry(['tenant', 'create', '--name', 'Initech', '--slug', 'initech'], env)
    const user = await tenantry(
      ['user', 'create', '--tenant=initech', '--external-id=ida', '--email=Ida@Initech.example', '--role=operator'],
      env,
    )

    await using connection = connect(shared.url)
    expect([tenant, user]).toEqual([
      { code: 0, out: expect.stringMatching(uuid), err: '' },
      { code: 0, out: expect.stringMatching(uuid), err: '' },
    ])
    expect(
      await rowsOf(
        connection,
        "select t.id, t.name, u.id as user_id, u.email, u.role from tenants t join users u on u.tenant_id = t.id where t.slug = 'initech'",
      ),
    ).toEqual([
      {
        id: tenant.out.trim(),
        name: 'Initech',
        user_id: user.out.trim(),
        email: 'ida@initech.example',
        role: 'operator',
      },
    ])
  })
})

describe('tenant create', () => {
  test('takes the longest name that the settings show', async () => {
    const ran = await tenantry(['tenant', 'create', '--name', 'x'.repeat(200), '--slug', 'longest'], env)

    expect(ran).toEqual({ code: 0, out: expect.stringMatching(uuid), err: '' })
  })
})

describe('token', () => {
  const args = ['token', '--tenant', 'acme', '--user', 'ada']
  const config = { secret: jwtSecret, issuer: undefined, audience: 'tenantry', jwksUrl: undefined }
  const egress = openEgress({ allow: [] })
  const laterBy = (seconds: number) => ({ now: () => new Date(Date.now() + seconds * 1000) })

  test('prints a token that the service takes, for as long as was asked', async () => {
    const { code, out } = await tenantry([...args, '--role', 'viewer', '--ttl', '600'], env)

    const verified = await Promise.all(
      [0, 590, 640].map((seconds) => tokenVerifier(config, laterBy(seconds), egress)(out.trim())),
    )

    const claims = { sub: 'ada', tenant_id: expect.stringMatching(/^[0-9a-f-]{36}$/), role: 'viewer' as const }
    expect({ code, verified }).toEqual({ code: 0, verified: [claims, claims, undefined] })
  })

  test('signs for the audience and issuer that the service expects', async () => {
    const own = { JWT_ISSUER: 'https://login.example', JWT_AUDIENCE: 'chat' }

    const { out } = await tenantry(args, { ...env, ...own })

    const asConfigured = { ...config, issuer: own.JWT_ISSUER, audience: own.JWT_AUDIENCE }
    expect(await tokenVerifier(asConfigured, laterBy(0), egress)(out.trim())).toMatchObject({
      sub: 'ada',
      role: 'admin',
    })
    expect(await tokenVerifier(config, laterBy(0), egress)(out.trim())).toBeUndefined()
  })

  test('needs JWT_SECRET in production, and leaves the database alone without one', async () => {
    await using empty = await emptyDatabase()

    const ran = await tenantry(args, { DATABASE_URL: empty.url })

    await using connection = connect(empty.url)
    expect(ran).toEqual({ code: 1, out: '', err: expect.stringMatching(/^tenantry: JWT_SECRET is not set; [^\n]+\n$/) })
    expect(await everything(connection)).toEqual({})
  })

  test('refuses to sign where only a key set is trusted', async () => {
    const ran = await tenantry(args, { DATABASE_URL: shared.url, JWT_JWKS_URL: 'https://login.example/keys' })

    expect(ran).toEqual({
      code: 1,
      out: '',
      err: 'tenantry: JWT_SECRET is not set; tokens of a key set come from whoever holds its keys\n',
    })
  })
})

describe('migrate and demo', () => {
  test('may be run twice, but fill once', async () => {
    await using empty = await emptyDatabase()
    const own = { DATABASE_URL: empty.url }

    const migrated = [await tenantry(['migrate'], own), await tenantry(['migrate'], own)]
    const filled = [await tenantry(['demo'], own), await tenantry(['demo'], own)]

    await using connection = connect(empty.url)
    const upToDate = { code: 0, out: 'The database is up to date.\n', err: '' }
    expect(migrated).toEqual([upToDate, upToDate])
    expect(filled).toEqual([
      { code: 0, out: expect.stringMatching(/^Two tenants \(acme, globex\), 4 users [^\n]+\n$/), err: '' },
      { code: 1, out: '', err: 'tenantry: the database has tenants already; demo only fills an empty one\n' },
    ])
    const { tenants, users, conversations, usage_records } = await everything(connection)
    expect([tenants?.length, users?.length, conversations?.length]).toEqual([2, 4, 9])
    expect(usage_records?.length).toBeGreaterThan(200)
  })
})

describe('serve', () => {
  test.each([
    ['no JWT_SECRET', {}, 'is not set'],
    ['a short one', { JWT_SECRET: 'hush-hush' }, 'must have at least 32 bytes'],
    ['a known one', { JWT_SECRET: 'hush-hush-change-me-hush-hush-change-me' }, 'is a known or guessable value'],
  ])('refuses to start with %s', async (_, secret, reason) => {
    const ran = await tenantry(['serve'], { DATABASE_URL: shared.url, PORT: '0', ...secret })

    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.err).toMatch(/^tenantry: JWT_SECRET [^\n]+\n$/)
    expect(ran.err).toContain(reason)
    expect(ran.err).not.toContain('hush')
  })

  test('prints every mistake of the configuration, each in a line, and none of the values', async () => {
    const ran = await tenantry(['serve'], {
      DATABASE_URL: 'mysql://root:hush@db/app',
      PORT: 'hush',
      HOST: '0.0.0.0',
      TENANTRY_ENV: 'development',
      JWT_SECRET: 'hush',
      ENCRYPTION_KEY: 'hush',
      PROVIDER_BASE_URL: 'ftp://hush',
      CORS_ORIGINS: 'hush',
    })

    expect(ran).toMatchObject({ code: 1, out: '' })
    const lines = ran.err.trimEnd().split('\n')
    expect(lines.map((line) => /^tenantry: ([A-Z_]+) /.exec(line)?.[1]).sort()).toEqual([
      'CORS_ORIGINS',
      'DATABASE_URL',
      'ENCRYPTION_KEY',
      'HOST',
      'JWT_SECRET',
      'PORT',
      'PROVIDER_BASE_URL',
    ])
    expect(ran.err).not.toContain('hush')
  })
})

describe('a database that cannot be opened', () => {
  const folder = join(shared.folder, 'a-folder')
  beforeAll(() => void mkdirSync(folder))

  test.each([
    ['refuses connections', 'postgres://app:hushhush@127.0.0.1:1/app', /ECONNREFUSED/],
    ['stands behind white space', ' postgres://app:hushhush@127.0.0.1:1/app', /ECONNREFUSED/],
    ['has an unreadable password', 'postgres://app:hush%hush@127.0.0.1:1/app', /DATABASE_URL is no URL/],
    ['has an unreadable address', 'postgres://app:hush/hush@127.0.0.1:1/app', /DATABASE_URL is no URL/],
    ['is a folder', `sqlite:${folder}`, /SQLITE_CANTOPEN/],
    ['is no database', `sqlite:${join(import.meta.dir, 'cli.test.ts')}`, /SQLITE_NOTADB/],
    ['lies where no folder can be made', `sqlite:${join(import.meta.dir, 'cli.test.ts')}/below/app.db`, /ENOTDIR/],
  ])('is told in one line without stack or password: it %s', async (_, url, reason) => {
    const ran = await tenantry(['migrate'], { DATABASE_URL: url })

    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.err).toMatch(/^tenantry: [^\n]*DATABASE_URL[^\n]*\n$/)
    expect(ran.err).toMatch(reason)
    expect(ran.err).not.toMatch(/hush|\bat \S+:\d+/)
  })
})

describe.if(dialect === 'postgres')('a database that the server does not have', () => {
  test('is told in words', async () => {
    const url = Object.assign(new URL(shared.url), { pathname: '/nowhere_to_be_found' })

    const ran = await tenantry(['migrate'], { DATABASE_URL: url.href })

    expect(ran).toEqual({
      code: 1,
      out: '',
      err: 'tenantry: The database could not be opened and brought up to date: the server has no database of that name; look at DATABASE_URL; because: PostgresError 3D000\n',
    })
  })
})

describe.if(dialect === 'sqlite')('a new SQLite file', () => {
  test('is made with the folders above it', async () => {
    await using empty = await emptyDatabase()
    const file = join(empty.folder, 'some', 'where', 'app.db')

    const ran = await tenantry(['migrate'], { DATABASE_URL: `sqlite:${file}` })

    expect(ran).toMatchObject({ code: 0, err: '' })
    expect(await Bun.file(file).exists()).toBe(true)
  })
})

describe('analytics verify', () => {
  test('says in a line what does not agree, fails, and can put it right', async () => {
    await using own = await emptyDatabase()
    const at = { DATABASE_URL: own.url }
    await tenantry(['demo'], at)

    const right = await tenantry(['analytics', 'verify'], at)
    await sqlAt(
      own.url,
      'update tenant_days set request_count = request_count + 1 where request_count = (select max(request_count) from tenant_days)',
    )
    const wrong = await tenantry(['analytics', 'verify'], at)
    const repaired = await tenantry(['analytics', 'verify', '--tenant', 'acme', '--repair'], at)
    const again = await tenantry(['analytics', 'verify', '--tenant', 'acme'], at)
    const unknown = await tenantry(['analytics', 'verify', '--tenant', 'initech'], at)

    expect(right).toEqual({ code: 0, out: 'The rollups agree with the records.\n', err: '' })
    expect({ code: wrong.code, out: wrong.out }).toEqual({ code: 1, out: '' })
    expect(wrong.err).toMatch(
      /^(tenantry: acme tenant_days \d{4}-\d\d-\d\d: kept \d+ requests, .*, counted \d+ requests, .*\n)+$/,
    )
    expect(repaired).toMatchObject({ code: 0, err: '' })
    expect(again).toEqual(right)
    expect(unknown).toEqual({ code: 1, out: '', err: 'tenantry: There is no such tenant.\n' })
  })
})

async function sqlAt(url: string, text: string): Promise<void> {
  await using connection = connect(url)
  await rowsOf(connection, text)
}
