import { dirname } from 'node:path'
import { isAllowEntry } from './egress/allow'

/** All that the environment decides, read once at start and never again. */
export type Config = {
  readonly environment: 'production' | 'development'
  readonly databaseUrl: string
  /** Whether a start brings the database up to date; else it refuses a database that is not. */
  readonly migrateOnStart: boolean
  /** Postgres only: of the tables' owner, where DATABASE_URL names a role of the service's own. */
  readonly migrationDatabaseUrl: string | undefined
  /** Whether a role that row level security does not bind stops the start. */
  readonly rowLevelSecurity: boolean
  readonly host: string
  readonly port: number
  readonly jwt: {
    /** Undefined where only a key set is used, or in development before a secret was made. */
    readonly secret: string | undefined
    readonly issuer: string | undefined
    readonly audience: string
    readonly jwksUrl: string | undefined
  }
  readonly provider: {
    /** Undefined: the built-in echo model answers. */
    readonly baseUrl: string | undefined
    readonly apiKey: string | undefined
    readonly model: string
    readonly timeoutMs: number
    readonly firstByteTimeoutMs: number
    readonly idleTimeoutMs: number
  }
  readonly corsOrigins: readonly string[]
  /** Where webhooks, mail and key sets may go beside public addresses: hosts, addresses and blocks, each with a port or without. */
  readonly egressAllow: readonly string[]
  /** Seals what must not be read from the database. Undefined in production: no secrets can be kept. */
  readonly encryptionKey: string | undefined
  /** Opens what was sealed before the key was changed. */
  readonly encryptionKeyPrevious: string | undefined
  /** Where plugins write files, a folder for each tenant. Undefined: nowhere. */
  readonly exportDir: string | undefined
  readonly logLevel: LogLevel
  /** Opens /metrics to who sends it. Undefined: only this machine may read them. */
  readonly metricsToken: string | undefined
  readonly openapi: boolean
  readonly dashboard: boolean
  /** How many jobs this process runs at the same time; 0 leaves them to others. */
  readonly jobsConcurrency: number
  /** How long running requests may take after SIGTERM before they are cut. */
  readonly shutdownGraceMs: number
}

const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

type Environment = Record<string, string | undefined>

/** Thrown with every mistake at once. The messages name variables and rules, never values. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  constructor(readonly mistakes: readonly string[]) {
    super(
      `The configuration has ${mistakes.length} ${mistakes.length === 1 ? 'mistake' : 'mistakes'}:\n${mistakes.map((mistake) => `  - ${mistake}`).join('\n')}`,
    )
  }
}

/** Reads the environment; throws ConfigError with all that is wrong in it. An empty variable counts as not set. */
export function readConfig(env: Environment): Config {
  const mistakes: string[] = []
  const reader = read(env, mistakes)

  const environment = reader.choice('TENANTRY_ENV', ['production', 'development'], 'production')
  const addresses = reader.addresses()
  const host = reader.host()
  if (environment === 'development' && !loopback.has(host)) {
    mistakes.push(
      'HOST must be 127.0.0.1, ::1 or localhost while TENANTRY_ENV=development; set TENANTRY_ENV=production to listen elsewhere',
    )
  }

  const secret = reader.text('JWT_SECRET')
  const jwksUrl = reader.url('JWT_JWKS_URL')
  if (secret !== undefined) mistakes.push(...weaknesses(secret))
  else if (environment === 'production' && reader.text('JWT_JWKS_URL') === undefined) {
    mistakes.push('JWT_SECRET is not set; give at least 32 random bytes (openssl rand -base64 48), or set JWT_JWKS_URL')
  }

  const baseUrl = reader.url('PROVIDER_BASE_URL')
  const model = reader.text('PROVIDER_MODEL')
  if (baseUrl !== undefined && model === undefined) {
    mistakes.push('PROVIDER_MODEL is not set; name the model that PROVIDER_BASE_URL serves by default')
  }
  const timeoutMs = reader.integer('PROVIDER_TIMEOUT_MS', 120_000, { least: 1, most: 3_600_000 })

  const config: Config = {
    environment,
    ...addresses,
    rowLevelSecurity: reader.choice('ROW_LEVEL_SECURITY', ['on', 'off'], 'on') === 'on',
    migrateOnStart: migratesOnStart(reader),
    host,
    port: reader.port(),
    jwt: {
      secret,
      issuer: reader.text('JWT_ISSUER'),
      audience: reader.text('JWT_AUDIENCE') ?? 'tenantry',
      jwksUrl,
    },
    provider: {
      baseUrl,
      apiKey: reader.credential('PROVIDER_API_KEY'),
      model: model ?? 'echo',
      timeoutMs,
      firstByteTimeoutMs: reader.integer('PROVIDER_FIRST_BYTE_TIMEOUT_MS', Math.min(timeoutMs, 60_000), {
        least: 1,
        most: 3_600_000,
      }),
      idleTimeoutMs: reader.integer('PROVIDER_IDLE_TIMEOUT_MS', Math.min(timeoutMs, 30_000), {
        least: 1,
        most: 3_600_000,
      }),
    },
    corsOrigins: reader.origins('CORS_ORIGINS'),
    egressAllow: reader.destinations('EGRESS_ALLOW'),
    ...reader.encryptionKeys(),
    exportDir: reader.text('EXPORT_DIR'),
    logLevel: reader.choice('LOG_LEVEL', logLevels, 'info'),
    metricsToken: reader.secret('METRICS_TOKEN', 16),
    openapi: reader.choice('OPENAPI', ['on', 'off'], 'on') === 'on',
    dashboard: reader.choice('DASHBOARD', ['on', 'off'], 'on') === 'on',
    jobsConcurrency: reader.integer('JOBS_CONCURRENCY', 5, { least: 0, most: 100 }),
    shutdownGraceMs: reader.integer('SHUTDOWN_GRACE_MS', 10_000, { least: 0, most: 600_000 }),
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return Object.freeze(config)
}

/** For commands that need nothing else. */
export function readAddresses(
  env: Environment,
): Pick<Config, 'databaseUrl' | 'migrationDatabaseUrl' | 'migrateOnStart'> {
  const mistakes: string[] = []
  const reader = read(env, mistakes)
  const addresses = { ...reader.addresses(), migrateOnStart: migratesOnStart(reader) }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return addresses
}

/** For the command that asks the server on this machine. */
export function readListener(env: Environment): Pick<Config, 'host' | 'port'> {
  const mistakes: string[] = []
  const reader = read(env, mistakes)
  const listener = { host: reader.host(), port: reader.port() }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return listener
}

/** For the command that removes what plugins wrote. */
export const readExportDir = (env: Environment): string | undefined => read(env, []).text('EXPORT_DIR')

/** For the command that seals anew. */
export function readEncryptionKeys(env: Environment): Pick<Config, 'encryptionKey' | 'encryptionKeyPrevious'> {
  const mistakes: string[] = []
  const keys = read(env, mistakes).encryptionKeys()
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return keys
}

const migratesOnStart = (reader: ReturnType<typeof read>): boolean =>
  reader.choice('MIGRATE_ON_START', ['on', 'off'], 'on') === 'on'

const loopback = new Set(['127.0.0.1', '::1', 'localhost'])

/** Where development keeps a secret that it made: beside the database file. */
export function developmentFile(databaseUrl: string, name: '.jwt-secret' | '.encryption-key'): string {
  const file =
    databaseUrl.startsWith('sqlite:') && databaseUrl !== 'sqlite::memory:'
      ? databaseUrl.slice('sqlite:'.length)
      : './data/tenantry.db'
  return `${dirname(file)}/${name}`
}

/** Secrets that stand in tutorials and compose files are as good as none. */
const known = /change[-_ ]?me|your[-_ ]|example|secret[-_ ]?key|password|tenantry|placeholder|^(.)\1*$/i

function weaknesses(secret: string): string[] {
  if (Buffer.byteLength(secret) < 32) return ['JWT_SECRET must have at least 32 bytes (openssl rand -base64 48)']
  if (known.test(secret) || new Set(secret).size < 12)
    return ['JWT_SECRET is a known or guessable value; make one (openssl rand -base64 48)']
  return []
}

const isPostgres = (url: string) => /^postgres(ql)?:\/\/./.test(url)

/** postgres.js throws on a lone %, and so late that the error says nothing of where it stood. */
function isReadable(url: string): boolean {
  try {
    decodeURIComponent(url)
    return URL.canParse(url)
  } catch {
    return false
  }
}

function read(env: Environment, mistakes: string[]) {
  const text = (name: string) => env[name]?.trim() || undefined
  const list = (name: string) =>
    (text(name) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean)
  const key = (name: string): string | undefined => {
    const value = text(name)
    // Buffer skips what is not base64, so the form is looked at too.
    const bytes = value !== undefined && /^[\w+/-]{43}=?$/.test(value) ? Buffer.from(value, 'base64') : undefined
    if (value !== undefined && bytes?.length !== 32)
      mistakes.push(`${name} must be 32 bytes in base64 (openssl rand -base64 32)`)
    // Of 32 random bytes, some 30 differ. A guessable key may still open, so that another can take its place.
    else if (bytes && new Set(bytes).size < 12 && name === 'ENCRYPTION_KEY')
      mistakes.push(`${name} is a guessable value; make one (openssl rand -base64 32)`)
    return value
  }

  const integer = (name: string, otherwise: number, { least, most }: { least: number; most: number }): number => {
    const value = text(name)
    if (value === undefined) return otherwise
    const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN
    if (number >= least && number <= most) return number
    mistakes.push(`${name} must be a whole number from ${least} to ${most}`)
    return otherwise
  }

  return {
    text,
    integer,
    /** An IPv6 address may be in brackets, as it is written in a URL. */
    host: () => text('HOST')?.replace(/^\[(.+)\]$/, '$1') ?? '127.0.0.1',
    port: () => integer('PORT', 3000, { least: 0, most: 65_535 }),
    choice<const T extends string>(name: string, choices: readonly T[], otherwise: T): T {
      const value = text(name)
      if (value === undefined) return otherwise
      const found = choices.find((choice) => choice === value)
      if (found === undefined) mistakes.push(`${name} must be one of ${choices.join(', ')}`)
      return found ?? otherwise
    },
    addresses() {
      const databaseUrl = text('DATABASE_URL') ?? 'sqlite:./data/tenantry.db'
      const migrationDatabaseUrl = text('MIGRATION_DATABASE_URL')
      if (!/^(sqlite:.+|postgres(ql)?:\/\/.+)$/.test(databaseUrl))
        mistakes.push('DATABASE_URL must begin with sqlite: or postgres:// (for example sqlite:./data/tenantry.db)')
      // Else this would be a file in the root folder, or one with a ? in its name, and nobody would look for it there.
      if (/^sqlite:(\/\/[^/]|.*\?)/.test(databaseUrl))
        mistakes.push(
          'DATABASE_URL is sqlite: and a file (sqlite:./data/tenantry.db), without a host and without ?options',
        )
      if (migrationDatabaseUrl !== undefined && !isPostgres(migrationDatabaseUrl))
        mistakes.push('MIGRATION_DATABASE_URL must begin with postgres://, and is of no use with SQLite')
      else if (migrationDatabaseUrl !== undefined && !isPostgres(databaseUrl))
        mistakes.push('MIGRATION_DATABASE_URL is the same database as DATABASE_URL, by its owner; set both')
      else if (migrationDatabaseUrl !== undefined && URL.parse(databaseUrl)?.username === '')
        mistakes.push(
          'DATABASE_URL must name the role that the service is to have (postgres://tenantry:...@...) where MIGRATION_DATABASE_URL is set',
        )
      for (const [name, url = ''] of Object.entries({ databaseUrl, migrationDatabaseUrl })) {
        if (!isPostgres(url) || isReadable(url)) continue
        const variable = name === 'databaseUrl' ? 'DATABASE_URL' : 'MIGRATION_DATABASE_URL'
        mistakes.push(`${variable} is no URL: write special characters of its user name and password as %xx`)
      }
      return { databaseUrl, migrationDatabaseUrl }
    },
    secret(name: string, leastBytes: number): string | undefined {
      const value = text(name)
      if (value !== undefined && (Buffer.byteLength(value) < leastBytes || /[^!-~]|,/.test(value)))
        mistakes.push(
          `${name} must have at least ${leastBytes} bytes of ASCII, without spaces and commas (openssl rand -base64 24)`,
        )
      return value
    },
    /** What another server gave us and is sent back to it in a header. */
    credential(name: string): string | undefined {
      const value = text(name)
      if (value !== undefined && /[^ -~]/.test(value))
        mistakes.push(`${name} must be in ASCII, without tabs and line breaks, for it is sent in a header`)
      return value
    },
    url(name: string): string | undefined {
      const value = text(name)
      if (value === undefined) return undefined
      const url = URL.parse(value)
      if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password)
        return value.replace(/(?<!\/)\/+$/, '')
      mistakes.push(`${name} must be an http or https URL without user name and password`)
      return undefined
    },
    origins(name: string): readonly string[] {
      const listed = list(name)
      const wrong = listed.filter((origin) => URL.parse(origin)?.origin !== origin || !/^https?:[^*]+$/.test(origin))
      if (wrong.length > 0)
        mistakes.push(
          `${name} must list exact origins such as https://app.example.com, separated by commas; no *, no path`,
        )
      return listed
    },
    destinations(name: string): readonly string[] {
      const listed = list(name)
      if (!listed.every(isAllowEntry))
        mistakes.push(
          `${name} must list hosts, addresses or blocks such as hooks.internal, 127.0.0.1:1025, 10.0.0.0/8 or [::1]:25, separated by commas; no *, no scheme, no path`,
        )
      return listed
    },
    encryptionKeys() {
      const before = mistakes.length
      const [encryptionKey, encryptionKeyPrevious] = [key('ENCRYPTION_KEY'), key('ENCRYPTION_KEY_PREVIOUS')]
      const bothAreKeys = mistakes.length === before
      if (bothAreKeys && encryptionKeyPrevious !== undefined) {
        if (encryptionKey === undefined)
          mistakes.push('ENCRYPTION_KEY_PREVIOUS only opens; set ENCRYPTION_KEY too, which seals')
        // As bytes, because a key can be written with and without = at its end.
        else if (Buffer.from(encryptionKey, 'base64').equals(Buffer.from(encryptionKeyPrevious, 'base64')))
          mistakes.push('ENCRYPTION_KEY_PREVIOUS must be another key than ENCRYPTION_KEY, or not be set')
      }
      return { encryptionKey, encryptionKeyPrevious }
    },
  }
}
