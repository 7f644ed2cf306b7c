import { describe, expect, test } from 'bun:test'
import { ConfigError, readAddresses, readConfig, readListener } from '../../src/config'
import { mistakesIn } from './mistakes'

const secret = 'kR7v2XwQ9mZp4TnB8sLd3FhJ6cYg1AeU'
const key = 'vMq83RWeJ5Td0kP7xI2cLs9hZfNyA4uGb6OoEw1XQrk='
const previousKey = Buffer.from(Array.from({ length: 32 }, (_, at) => at * 7)).toString('base64')

describe('Configuration', () => {
  test('needs nothing but a secret', () => {
    const config = readConfig({ JWT_SECRET: secret })

    expect(config).toEqual({
      environment: 'production',
      databaseUrl: 'sqlite:./data/tenantry.db',
      migrateOnStart: true,
      migrationDatabaseUrl: undefined,
      rowLevelSecurity: true,
      host: '127.0.0.1',
      port: 3000,
      jwt: { secret, issuer: undefined, audience: 'tenantry', jwksUrl: undefined },
      provider: {
        baseUrl: undefined,
        apiKey: undefined,
        model: 'echo',
        timeoutMs: 120_000,
        firstByteTimeoutMs: 60_000,
        idleTimeoutMs: 30_000,
      },
      corsOrigins: [],
      egressAllow: [],
      encryptionKey: undefined,
      encryptionKeyPrevious: undefined,
      exportDir: undefined,
      logLevel: 'info',
      metricsToken: undefined,
      openapi: true,
      dashboard: true,
      jobsConcurrency: 5,
      shutdownGraceMs: 10_000,
    })
  })

  test('is read from every variable', () => {
    const config = readConfig({
      TENANTRY_ENV: 'production',
      DATABASE_URL: 'postgres://tenantry:pw@db.internal:5432/tenantry',
      MIGRATE_ON_START: 'off',
      MIGRATION_DATABASE_URL: 'postgres://owner:pw@db.internal:5432/tenantry',
      ROW_LEVEL_SECURITY: 'off',
      HOST: '0.0.0.0',
      PORT: '8080',
      JWT_SECRET: secret,
      JWT_ISSUER: 'https://id.example',
      JWT_AUDIENCE: 'chat',
      JWT_JWKS_URL: 'https://id.example/jwks.json',
      PROVIDER_BASE_URL: 'https://models.internal/v1/',
      PROVIDER_API_KEY: 'sk-models',
      PROVIDER_MODEL: 'small-model',
      PROVIDER_TIMEOUT_MS: '20000',
      PROVIDER_FIRST_BYTE_TIMEOUT_MS: '10000',
      PROVIDER_IDLE_TIMEOUT_MS: '5000',
      CORS_ORIGINS: 'https://app.example.com, http://localhost:5173',
      EGRESS_ALLOW: 'hooks.internal, 127.0.0.1:1025,10.0.0.0/8',
      ENCRYPTION_KEY: key,
      ENCRYPTION_KEY_PREVIOUS: previousKey,
      EXPORT_DIR: '/var/lib/tenantry/exports',
      LOG_LEVEL: 'debug',
      METRICS_TOKEN: 'c2NyYXBlciBhdCB3b3Jr',
      OPENAPI: 'off',
      DASHBOARD: 'off',
      JOBS_CONCURRENCY: '0',
      SHUTDOWN_GRACE_MS: '1000',
    })

    expect(config).toEqual({
      environment: 'production',
      databaseUrl: 'postgres://tenantry:pw@db.internal:5432/tenantry',
      migrateOnStart: false,
      migrationDatabaseUrl: 'postgres://owner:pw@db.internal:5432/tenantry',
      rowLevelSecurity: false,
      host: '0.0.0.0',
      port: 8080,
      jwt: { secret, issuer: 'https://id.example', audience: 'chat', jwksUrl: 'https://id.example/jwks.json' },
      provider: {
        baseUrl: 'https://models.internal/v1',
        apiKey: 'sk-models',
        model: 'small-model',
        timeoutMs: 20_000,
        firstByteTimeoutMs: 10_000,
        idleTimeoutMs: 5_000,
      },
      corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
      egressAllow: ['hooks.internal', '127.0.0.1:1025', '10.0.0.0/8'],
      encryptionKey: key,
      encryptionKeyPrevious: previousKey,
      exportDir: '/var/lib/tenantry/exports',
      logLevel: 'debug',
      metricsToken: 'c2NyYXBlciBhdCB3b3Jr',
      openapi: false,
      dashboard: false,
      jobsConcurrency: 0,
      shutdownGraceMs: 1_000,
    })
  })

  test('takes an empty variable for one that is not set, and white space around a value for nothing', () => {
    const names = ['TENANTRY_ENV', 'DATABASE_URL', 'HOST', 'PORT', 'JWT_ISSUER', 'JWT_AUDIENCE', 'JWT_JWKS_URL']
    const others = [
      'METRICS_TOKEN',
      'PROVIDER_BASE_URL',
      'PROVIDER_MODEL',
      'PROVIDER_TIMEOUT_MS',
      'CORS_ORIGINS',
      'EGRESS_ALLOW',
      'ENCRYPTION_KEY',
    ]
    const empty = Object.fromEntries([...names, ...others, 'LOG_LEVEL', 'OPENAPI'].map((name) => [name, ' ']))

    const config = readConfig({ ...empty, JWT_SECRET: ` ${secret}\n` })

    expect(config).toEqual(readConfig({ JWT_SECRET: secret }))
  })

  test('cannot be changed afterwards', () => {
    const config = readConfig({ JWT_SECRET: secret })

    expect(Object.isFrozen(config)).toBe(true)
  })

  test('shortens the waits for a provider to the whole time it has', () => {
    const { provider } = readConfig({ JWT_SECRET: secret, PROVIDER_TIMEOUT_MS: '2000' })

    expect(provider).toMatchObject({ timeoutMs: 2_000, firstByteTimeoutMs: 2_000, idleTimeoutMs: 2_000 })
  })

  const bad: [string, string, Record<string, string>][] = [
    ['TENANTRY_ENV', 'test', {}],
    ['TENANTRY_ENV', 'Production', {}],
    ['DATABASE_URL', 'mysql://db/tenantry', {}],
    ['DATABASE_URL', 'data/tenantry.db', {}],
    ['DATABASE_URL', 'sqlite:', {}],
    ['DATABASE_URL', 'sqlite://data/tenantry.db', {}],
    ['DATABASE_URL', 'sqlite:/data/tenantry.db?mode=rwc', {}],
    ['DATABASE_URL', 'postgres://', {}],
    ['DATABASE_URL', 'postgres://tenantry:50%@db/tenantry', {}],
    ['MIGRATE_ON_START', 'false', {}],
    ['PORT', '65536', {}],
    ['PORT', '-1', {}],
    ['PORT', '3e3', {}],
    ['PORT', '0x50', {}],
    ['PORT', '80.5', {}],
    ['PORT', 'http', {}],
    ['JWT_JWKS_URL', 'id.example/jwks.json', {}],
    ['JWT_JWKS_URL', 'file:///etc/passwd', {}],
    ['JWT_JWKS_URL', 'https://user:pw@id.example/jwks.json', {}],
    ['PROVIDER_BASE_URL', 'localhost:11434', { PROVIDER_MODEL: 'm' }],
    ['PROVIDER_BASE_URL', 'unix:///run/models.sock', { PROVIDER_MODEL: 'm' }],
    ['PROVIDER_BASE_URL', 'https://key@models.internal', { PROVIDER_MODEL: 'm' }],
    ['PROVIDER_API_KEY', 'sk-models\tsk-others', {}],
    ['PROVIDER_API_KEY', 'sk-mödels', {}],
    ['PROVIDER_TIMEOUT_MS', '0', {}],
    ['PROVIDER_TIMEOUT_MS', '3600001', {}],
    ['PROVIDER_TIMEOUT_MS', '20s', {}],
    ['PROVIDER_FIRST_BYTE_TIMEOUT_MS', '0', {}],
    ['PROVIDER_IDLE_TIMEOUT_MS', 'never', {}],
    ['CORS_ORIGINS', '*', {}],
    ['CORS_ORIGINS', 'https://*.example.com', {}],
    ['CORS_ORIGINS', 'null', {}],
    ['CORS_ORIGINS', 'app.example.com', {}],
    ['CORS_ORIGINS', 'https://app.example.com/', {}],
    ['CORS_ORIGINS', 'https://app.example.com/chat', {}],
    ['CORS_ORIGINS', 'https://app.example.com:443', {}],
    ['CORS_ORIGINS', 'https://App.example.com', {}],
    ['CORS_ORIGINS', 'https://user@app.example.com', {}],
    ['CORS_ORIGINS', 'file://', {}],
    ['CORS_ORIGINS', 'https://app.example.com https://other.example.com', {}],
    ['CORS_ORIGINS', 'https://app.example.com,ftp://files.example.com', {}],
    ['EGRESS_ALLOW', '*', {}],
    ['EGRESS_ALLOW', '*.internal', {}],
    ['EGRESS_ALLOW', 'http://hooks.internal', {}],
    ['EGRESS_ALLOW', 'hooks.internal/hook', {}],
    ['EGRESS_ALLOW', 'hooks.internal:0', {}],
    ['EGRESS_ALLOW', 'hooks.internal:65536', {}],
    ['EGRESS_ALLOW', 'hooks.internal:', {}],
    ['EGRESS_ALLOW', 'hooks.internal.', {}],
    ['EGRESS_ALLOW', 'münchen.internal', {}],
    ['EGRESS_ALLOW', '127.1', {}],
    ['EGRESS_ALLOW', '0x7f000001', {}],
    ['EGRESS_ALLOW', '2130706433', {}],
    ['EGRESS_ALLOW', '10.0.0.0/33', {}],
    ['EGRESS_ALLOW', '10.0.0.0/', {}],
    ['EGRESS_ALLOW', '10.0.0.0/8/8', {}],
    ['EGRESS_ALLOW', '10.0.0/8', {}],
    ['EGRESS_ALLOW', 'fd00::/129', {}],
    ['EGRESS_ALLOW', '[10.0.0.1]:80', {}],
    ['EGRESS_ALLOW', '[::1', {}],
    ['EGRESS_ALLOW', 'hooks.internal 10.0.0.1', {}],
    ['EGRESS_ALLOW', '10.0.0.0/8,user@hooks.internal', {}],
    ['ENCRYPTION_KEY', Buffer.alloc(16, 7).toString('base64'), {}],
    ['ENCRYPTION_KEY', Buffer.alloc(31, 7).toString('base64'), {}],
    ['ENCRYPTION_KEY', Buffer.alloc(33, 7).toString('base64'), {}],
    ['ENCRYPTION_KEY', Buffer.alloc(32, 7).toString('hex'), {}],
    ['ENCRYPTION_KEY', Buffer.alloc(32, 7).toString('base64'), {}],
    ['ENCRYPTION_KEY', Buffer.from('abcdefgh'.repeat(4)).toString('base64'), {}],
    ['ENCRYPTION_KEY', `!${key}`, {}],
    ['ENCRYPTION_KEY', key.replace('v', 'v '), {}],
    ['ENCRYPTION_KEY_PREVIOUS', Buffer.alloc(16, 7).toString('base64'), { ENCRYPTION_KEY: key }],
    ['ENCRYPTION_KEY_PREVIOUS', previousKey, {}],
    ['ENCRYPTION_KEY_PREVIOUS', key, { ENCRYPTION_KEY: key }],
    ['ENCRYPTION_KEY_PREVIOUS', key.slice(0, -1), { ENCRYPTION_KEY: key }],
    ['LOG_LEVEL', 'verbose', {}],
    ['LOG_LEVEL', 'INFO', {}],
    ['METRICS_TOKEN', 'fifteen-bytes..', {}],
    ['METRICS_TOKEN', 'sixteen bytes, and more', {}],
    ['METRICS_TOKEN', 'sixteen-bytes-and-möre', {}],
    ['OPENAPI', 'false', {}],
    ['JOBS_CONCURRENCY', '101', {}],
    ['SHUTDOWN_GRACE_MS', '600001', {}],
  ]
  test.each(bad)('refuses %s=%s, and says so in one line', (name, value, others) => {
    const mistakes = mistakesIn({ JWT_SECRET: secret, ...others, [name]: value })

    expect(mistakes).toEqual([expect.stringMatching(new RegExp(`^${name} [^\\n]+$`))])
    expect(mistakesIn({ JWT_SECRET: secret, ...others })).toEqual([])
  })

  test('wants the role that the owner is to make named', () => {
    const MIGRATION_DATABASE_URL = 'postgres://owner:pw@db/tenantry'
    const [unnamed, named] = ['postgres://db/tenantry', 'postgres://tenantry@db/tenantry'].map((DATABASE_URL) =>
      mistakesIn({ JWT_SECRET: secret, DATABASE_URL, MIGRATION_DATABASE_URL }),
    )

    expect(unnamed).toEqual([
      'DATABASE_URL must name the role that the service is to have (postgres://tenantry:...@...) where MIGRATION_DATABASE_URL is set',
    ])
    expect(named).toEqual([])
  })

  test('takes an IPv6 address in brackets, as in a URL, for the address', () => {
    const hosts = ['[::1]', '[::]', '::1'].map((HOST) => readConfig({ JWT_SECRET: secret, HOST }).host)

    expect(hosts).toEqual(['::1', '::', '::1'])
    expect(readListener({ HOST: '[::1]' }).host).toBe('::1')
  })

  const good: [name: string, value: string, others?: Record<string, string>][] = [
    ['DATABASE_URL', 'sqlite::memory:'],
    ['DATABASE_URL', 'sqlite:/var/lib/tenantry/tenantry.db'],
    ['DATABASE_URL', 'sqlite:///var/lib/tenantry/tenantry.db'],
    ['DATABASE_URL', 'postgresql://db/tenantry'],
    ['PORT', '0'],
    ['PORT', '65535'],
    ['HOST', '::'],
    ['ENCRYPTION_KEY', key],
    ['ENCRYPTION_KEY', key.slice(0, -1)],
    ['ENCRYPTION_KEY_PREVIOUS', Buffer.alloc(32, 7).toString('base64'), { ENCRYPTION_KEY: key }],
    ['CORS_ORIGINS', 'http://127.0.0.1:5173,,'],
    ['EGRESS_ALLOW', 'hooks, Hooks.internal:8443,,10.0.0.1, ::1, fd00::/8, [::1]:25, [fd00::/8]:443, [fd00::1]'],
    ['LOG_LEVEL', 'silent'],
    ['METRICS_TOKEN', 'sixteen-bytes...'],
  ]
  test.each(good)('takes %s=%s', (name, value, others = {}) => {
    const mistakes = mistakesIn({ JWT_SECRET: secret, ...others, [name]: value })

    expect(mistakes).toEqual([])
  })

  test('says all that is wrong at once, and nothing of what was written', () => {
    const canary = 'canary-7f3a'
    const broken = {
      TENANTRY_ENV: canary,
      DATABASE_URL: canary,
      MIGRATE_ON_START: canary,
      PORT: canary,
      JWT_SECRET: canary,
      JWT_JWKS_URL: canary,
      PROVIDER_BASE_URL: canary,
      PROVIDER_API_KEY: `${canary}\t${canary}`,
      PROVIDER_TIMEOUT_MS: canary,
      PROVIDER_FIRST_BYTE_TIMEOUT_MS: canary,
      PROVIDER_IDLE_TIMEOUT_MS: canary,
      CORS_ORIGINS: canary,
      EGRESS_ALLOW: `${canary}/`,
      ENCRYPTION_KEY: canary,
      ENCRYPTION_KEY_PREVIOUS: canary,
      LOG_LEVEL: canary,
      METRICS_TOKEN: canary,
      OPENAPI: canary,
      JOBS_CONCURRENCY: canary,
      SHUTDOWN_GRACE_MS: canary,
    }

    const mistakes = mistakesIn(broken)

    expect(mistakes.map((mistake) => mistake.split(' ')[0]).sort()).toEqual(Object.keys(broken).sort())
    expect(mistakes.join('\n')).not.toContain(canary)
  })

  test('puts its mistakes under each other', () => {
    const reading = () => readConfig({ JWT_SECRET: 'short', LOG_LEVEL: 'loud' })

    expect(reading).toThrow(
      new ConfigError([
        'JWT_SECRET must have at least 32 bytes (openssl rand -base64 48)',
        'LOG_LEVEL must be one of debug, info, warn, error, silent',
      ]),
    )
    expect(reading).toThrow(`The configuration has 2 mistakes:
  - JWT_SECRET must have at least 32 bytes (openssl rand -base64 48)
  - LOG_LEVEL must be one of debug, info, warn, error, silent`)
  })
})

describe('PROVIDER_MODEL', () => {
  test('is needed with PROVIDER_BASE_URL, and not without', () => {
    const alone = mistakesIn({ JWT_SECRET: secret, PROVIDER_BASE_URL: 'http://localhost:11434/v1' })
    const together = mistakesIn({
      JWT_SECRET: secret,
      PROVIDER_BASE_URL: 'http://localhost:11434/v1',
      PROVIDER_MODEL: 'small-model',
    })

    expect(alone).toEqual(['PROVIDER_MODEL is not set; name the model that PROVIDER_BASE_URL serves by default'])
    expect(together).toEqual([])
  })
})

describe('A command that needs only the database', () => {
  test('reads its URL and asks for nothing else', () => {
    const found = [readAddresses({ DATABASE_URL: 'sqlite:/tmp/t.db' }), readAddresses({})]

    expect(found.map(({ databaseUrl }) => databaseUrl)).toEqual(['sqlite:/tmp/t.db', 'sqlite:./data/tenantry.db'])
  })

  test('refuses a wrong one without showing it', () => {
    const reading = () => readAddresses({ DATABASE_URL: 'mysql://root:hunter2@db/tenantry' })

    expect(reading).toThrow(
      new ConfigError(['DATABASE_URL must begin with sqlite: or postgres:// (for example sqlite:./data/tenantry.db)']),
    )
  })
})
