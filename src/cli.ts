#!/usr/bin/env bun
import { parseArgs } from 'node:util'
import packageJson from '../package.json' with { type: 'json' }
import { type Role, roles } from './auth/policy'
import type { Claims } from './auth/tokens'
import {
  type Config,
  ConfigError,
  readAddresses,
  readConfig,
  readEncryptionKeys,
  readExportDir,
  readListener,
} from './config'
import type { Connection, Database } from './database/database'
import { AppError } from './errors'
import { systemClock } from './ids'
import { describe } from './reporter'

// Each command loads what it needs when it runs, so that help and a typing error are there at once.

type Options = Record<string, { type: 'string' | 'boolean'; help: string; required?: true; default?: string }>
type Given = Record<string, string | boolean | undefined>
type Command = {
  about: string
  options: Options
  /** The name of the one word that it takes besides options, where it takes one. */
  word?: string
  run: (given: Given) => Promise<string | undefined>
}

/** What a person typed wrongly, or what stands in the way. Printed as one line. */
class UsageError extends Error {}

const commands: Record<string, Command> = {
  serve: {
    about: 'Bring the database up to date and serve until SIGTERM.',
    options: {
      demo: { type: 'boolean', help: 'fill an empty database with demo data, and print a request to paste' },
      'no-migrate': {
        type: 'boolean',
        help: 'leave the database as it is, and refuse one that is not up to date (as MIGRATE_ON_START=off)',
      },
    },
    run: async ({ demo, 'no-migrate': noMigrate }) => {
      const read = readConfig(process.env)
      const config = noMigrate ? { ...read, migrateOnStart: false } : read
      const { serve } = await import('./main')
      const { url, database } = await serve(config)
      return demo ? await invitation(config, url, database) : undefined
    },
  },
  health: {
    about: 'Ask the server on this machine, at HOST and PORT, whether it is ready; fails when not. For containers.',
    options: {},
    run: async () => {
      const { askReadiness } = await import('./health/ask')
      await askReadiness(readListener(process.env))
      return 'ready'
    },
  },
  migrate: {
    about: 'Bring the database up to date.',
    options: {},
    run: () => withDatabase(async () => 'The database is up to date.'),
  },
  'tenant create': {
    about: 'Create a tenant and print its id.',
    options: {
      name: { type: 'string', help: 'as people read it', required: true },
      slug: { type: 'string', help: 'as commands name it', required: true },
    },
    run: async ({ name, slug }) => {
      const { createTenant } = await import('./tenants/store')
      const tenant = { name: String(name), slug: String(slug) }
      return await withDatabase((database) => createTenant({ database, clock: systemClock }, tenant))
    },
  },
  'user create': {
    about: 'Create a user of a tenant and print its id.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant', required: true },
      'external-id': { type: 'string', help: 'what tokens say as sub', required: true },
      email: { type: 'string', help: 'address', required: true },
      role: { type: 'string', help: roles.join(', '), required: true },
    },
    run: async (given) => {
      const user = {
        external_id: String(given['external-id']),
        email: String(given.email),
        role: requireRole(given.role),
      }
      const [{ Value }, { NewUser }, { createUser }] = await Promise.all([
        import('@sinclair/typebox/value'),
        import('./users/schema'),
        import('./users/store'),
      ])
      const wrong = Value.Errors(NewUser, user).First()?.path.slice(1).replace('_', '-')
      if (wrong !== undefined) throw new UsageError(`--${wrong} is not valid`)
      return await withDatabase(async (database) => {
        const tenant = await tenantId(database, String(given.tenant))
        return (await createUser({ database, clock: systemClock }, tenant, user)).id
      })
    },
  },
  token: {
    about: 'Print a token for a user. Needs JWT_SECRET.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant', required: true },
      user: { type: 'string', help: 'external id of the user', required: true },
      role: {
        type: 'string',
        help: `${roles.join(', ')}; the lower of this and the stored role counts`,
        default: 'admin',
      },
      ttl: { type: 'string', help: 'seconds, at most a day', default: '3600' },
    },
    run: async ({ tenant, user, role, ttl }) => {
      const { longestLifeSeconds } = await import('./auth/tokens')
      const lifetimeSeconds = /^\d{1,6}$/.test(String(ttl)) ? Number(ttl) : 0
      if (lifetimeSeconds < 1 || lifetimeSeconds > longestLifeSeconds)
        throw new UsageError(`--ttl must be 1 to ${longestLifeSeconds} seconds`)
      const sign = await tokenSigner(readConfig(process.env))
      const claims = { sub: String(user), role: requireRole(role) }
      const tenant_id = await withDatabase((database) => tenantId(database, String(tenant)))
      return await sign({ ...claims, tenant_id }, lifetimeSeconds)
    },
  },
  'keys rotate': {
    about: 'Seal with ENCRYPTION_KEY what ENCRYPTION_KEY_PREVIOUS sealed. May run beside servers that have both.',
    options: {},
    run: async () => {
      const { encryptionKey: current, encryptionKeyPrevious: previous } = readEncryptionKeys(process.env)
      if (current === undefined) throw new UsageError('ENCRYPTION_KEY is not set; set it to the key that is to seal')
      const [{ rotateKeys }, { buildSealer }] = await Promise.all([import('./plugins/keys'), import('./sealing')])
      const { sealed, unopened } = await withDatabase((database) =>
        rotateKeys(database, buildSealer({ current, previous })),
      )
      const done = `Sealed the secrets of ${sealed} ${sealed === 1 ? 'plugin' : 'plugins'} anew`
      if (unopened > 0)
        throw new UsageError(
          `${done}, and could not open those of ${unopened}; set ENCRYPTION_KEY_PREVIOUS to the key that sealed them`,
        )
      return `${done}; nothing needs another key any longer.`
    },
  },
  backup: {
    about: 'Copy the whole database to a new file, while servers run. Not brought up to date before.',
    options: {},
    word: 'file',
    run: async ({ file }) =>
      (await import('./operations/backup')).backup(readAddresses(process.env).databaseUrl, String(file)),
  },
  'tenant export': {
    about: 'Write one tenant to a new file, while servers run.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant', required: true },
      to: { type: 'string', help: 'file, which is not there yet', required: true },
      'without-secrets': {
        type: 'boolean',
        help: 'leave out the secrets of plugins, which are sealed, and disable them',
      },
    },
    run: async (given) => {
      const { exportTenant } = await import('./operations/export-tenant')
      const [slug, file] = [String(given.tenant), String(given.to)]
      const leaveSecrets = given['without-secrets'] === true
      return await withConnection((connection) => exportTenant(connection, systemClock, { slug, file, leaveSecrets }))
    },
  },
  'tenant import': {
    about: 'Make a tenant of a file that export wrote, on whichever database.',
    options: {
      from: { type: 'string', help: 'the file', required: true },
      slug: { type: 'string', help: 'another slug than it had' },
      'without-secrets': { type: 'boolean', help: 'leave out the secrets of plugins, and disable those' },
    },
    run: async ({ from, slug, 'without-secrets': without }) => {
      const { encryptionKey: current, encryptionKeyPrevious: previous } = readEncryptionKeys(process.env)
      const [{ importTenant }, { buildSealer }] = await Promise.all([
        import('./operations/import-tenant'),
        import('./sealing'),
      ])
      const importing = {
        file: String(from),
        slug: slug === undefined ? undefined : String(slug),
        leaveSecrets: without === true,
        sealer: buildSealer({ current, previous }),
      }
      return await withDatabase((database) => importTenant(database, importing))
    },
  },
  'tenant erase': {
    about: 'Remove a tenant with all its rows and files, and count what is left. Cannot be undone.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant', required: true },
      yes: { type: 'string', help: 'the same slug again', required: true },
      vacuum: { type: 'boolean', help: 'rewrite the database, so that its files have nothing of it either' },
    },
    run: async ({ tenant, yes, vacuum }) => {
      if (tenant !== yes) throw new UsageError('--yes is not the slug in --tenant; nothing was erased')
      const { eraseTenant } = await import('./operations/erase-tenant')
      const { migrationDatabaseUrl: ownerUrl } = readAddresses(process.env)
      const exportDir = readExportDir(process.env)
      const erasing = { slug: String(tenant), exportDir, vacuum: vacuum === true, ownerUrl }
      return await withConnection((connection) => eraseTenant(connection, erasing))
    },
  },
  demo: {
    about: 'Fill an empty database with two tenants, four users, conversations and a month of usage.',
    options: {},
    run: async () => {
      const { fillDemo } = await import('./demo')
      const summary = await withDatabase((database) => fillDemo(database, systemClock))
      if (summary === undefined) throw new UsageError('the database has tenants already; demo only fills an empty one')
      return summary
    },
  },
  'analytics verify': {
    about: 'Add up all request and usage records again, and compare the sums with what analytics show.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant; all of them, if not given' },
      repair: { type: 'boolean', help: 'write the sums over what differs' },
    },
    run: async ({ tenant, repair }) => {
      const { inWords, repairRollups, tenantsToVerify, verifyRollups } = await import('./analytics/verify')
      return await withDatabase(async (database) => {
        if (tenant !== undefined) await tenantId(database, String(tenant))
        const all = await tenantsToVerify(database)
        const lines: string[] = []
        for (const { id, slug } of all.filter((each) => tenant === undefined || each.slug === tenant)) {
          const found = await verifyRollups(database, id)
          if (found.length > 0 && repair) await repairRollups(database, id)
          lines.push(...found.map((difference) => `${slug} ${inWords(difference)}`))
        }
        if (lines.length === 0) return 'The rollups agree with the records.'
        if (!repair) throw new Mismatch(lines)
        return [...lines, 'Repaired: these say now what was counted.'].join('\n')
      })
    },
  },
}

/** What was found not to be as it has to be, a line for each. */
class Mismatch extends Error {
  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'))
  }
}

const withDatabase = <T>(work: (database: Database) => Promise<T>): Promise<T> =>
  withConnection(({ database }) => work(database))

async function withConnection<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
  const addresses = readAddresses(process.env)
  const [{ openDatabase }, { acrossTenants }] = await Promise.all([
    import('./database/open'),
    import('./database/reach'),
  ])
  const { connection } = await openDatabase(addresses)
  await using _ = connection
  return await acrossTenants('whoever runs commands runs the service', () => work(connection))
}

async function tenantId(database: Database, slug: string): Promise<string> {
  const { tenantBySlug } = await import('./tenants/store')
  return await tenantBySlug(database, slug)
}

function requireRole(given: unknown): Role {
  const role = roles.find((each) => each === given)
  if (!role) throw new UsageError(`--role must be one of ${roles.join(', ')}`)
  return role
}

async function tokenSigner(config: Config) {
  const [{ developmentSecret }, { signToken }] = await Promise.all([import('./main'), import('./auth/tokens')])
  const secret = config.jwt.secret ?? developmentSecret(config)
  if (secret === undefined)
    throw new UsageError('JWT_SECRET is not set; tokens of a key set come from whoever holds its keys')
  return (claims: Claims, lifetimeSeconds: number): Promise<string> =>
    signToken(claims, { ...config.jwt, secret }, systemClock, lifetimeSeconds)
}

/** What to do next, for somebody who has just started the service. */
async function invitation(config: Config, url: string, database: Database): Promise<string> {
  const [{ fillDemo }, { longestLifeSeconds }] = await Promise.all([import('./demo'), import('./auth/tokens')])
  const { acrossTenants } = await import('./database/reach')
  const [filled, tenant_id] = await acrossTenants('the demo is of two tenants', async () => [
    await fillDemo(database, systemClock),
    await tenantId(database, 'acme').catch(() => undefined),
  ])
  if (tenant_id === undefined)
    return `\n${url} is ready. The database has tenants of its own, so no demo was added; make a token with: bun run tenantry token --help\n`
  const sign = await tokenSigner(config)
  const bearer = await sign({ tenant_id, sub: 'olivia', role: 'operator' }, longestLifeSeconds)
  return `
${filled ? 'The database was empty and has demo data now: tenants acme and globex.' : 'The demo data is there from before.'}
Read the API at ${url}/openapi, see the usage at ${url}/dashboard, or chat (the token is good for a day):

curl -s ${url}/api/v1/chat \\
  -H 'Authorization: Bearer ${bearer}' \\
  -H 'Content-Type: application/json' \\
  -d '{"message": "Hello, what can you do?"}'
`
}

const usage = (name: string, { about, options, word }: Command) =>
  [
    `tenantry ${name}${word === undefined ? '' : ` <${word}>`}: ${about}`,
    ...Object.entries(options).map(([option, { type, help, required, default: otherwise }]) => {
      const note = required ? ' (required)' : otherwise === undefined ? '' : ` (default ${otherwise})`
      return `  --${option}${type === 'string' ? ' <text>' : ''}  ${help}${note}`
    }),
  ].join('\n')

const overview = () =>
  [
    `tenantry ${packageJson.version}`,
    ...Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(18)} ${about}`),
    '--help after a command says more.',
  ].join('\n')

async function run(words: string[]): Promise<string | undefined> {
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((each) => Object.hasOwn(commands, each))
  const command = name === undefined ? undefined : commands[name]
  if (name === undefined || !command) {
    if (words.length === 0 || words[0] === '--help' || words[0] === 'help') return overview()
    throw new UsageError(`there is no command "${words.slice(0, 2).join(' ')}"; try tenantry --help`)
  }
  const rest = words.slice(name.split(' ').length)
  if (rest.includes('--help')) return usage(name, command)
  const { word } = command
  const { values, positionals } = parseArgs({
    args: rest,
    options: Object.fromEntries(Object.entries(command.options).map(([option, { type }]) => [option, { type }])),
    strict: true,
    allowPositionals: word !== undefined,
  })
  if (positionals.length > 1) throw new UsageError(`Unexpected argument '${positionals[1]}'`)
  const given: Given = {
    ...Object.fromEntries(
      Object.entries(command.options).map(([option, { default: otherwise }]) => [option, otherwise]),
    ),
    ...values,
    ...(word !== undefined && { [word]: positionals[0] }),
  }
  const missing = Object.keys(command.options)
    .filter((option) => command.options[option]?.required && !given[option])
    .map((option) => `--${option}`)
  if (word !== undefined && !given[word]) missing.push(`<${word}>`)
  if (missing.length > 0) throw new UsageError(`missing ${missing.join(', ')}; try tenantry ${name} --help`)
  return await command.run(given)
}

/** One line for each thing to put right. */
function explain(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.mistakes
  if (error instanceof Mismatch) return error.lines
  if (error instanceof UsageError || error instanceof AppError) return [error.message]
  // Node's words on wrong arguments go on with advice for rarer cases.
  if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
    return [error.message.split(/\.\s/, 1)[0] ?? '']
  return [describe(error).replace(/^Error: /, '')]
}

try {
  const answer = await run(process.argv.slice(2))
  if (answer !== undefined) console.log(answer)
} catch (error) {
  for (const line of explain(error)) console.error(`tenantry: ${line}`)
  process.exit(1)
}
