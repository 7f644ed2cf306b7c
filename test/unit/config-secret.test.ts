import { describe, expect, test } from 'bun:test'
import { developmentFile, readConfig } from '../../src/config'
import { mistakesIn } from './mistakes'

const secret = 'kR7v2XwQ9mZp4TnB8sLd3FhJ6cYg1AeU'

describe('JWT_SECRET', () => {
  const tooShort = 'JWT_SECRET must have at least 32 bytes (openssl rand -base64 48)'
  const guessable = 'JWT_SECRET is a known or guessable value; make one (openssl rand -base64 48)'
  const weak: [string, string, string][] = [
    ['of one character', 'x', tooShort],
    ['of a tutorial', 'sk-1234', tooShort],
    ['of 31 bytes', secret.slice(1), tooShort],
    ['that is the same character again and again', 'a'.repeat(64), guessable],
    ['of few different characters', 'abcabcabc'.repeat(8), guessable],
    ['that asks to be changed', 'please-change-me-to-something-long-and-random', guessable],
    ['that asks in another way', 'CHANGEME0123456789abcdefghijklmnop', guessable],
    ['that waits for its owner', 'your-256-bit-secret-your-256-bit-secret', guessable],
    ['of an example', 'example-0123456789-abcdefghijklmnopqrs', guessable],
    ['that is called a secret key', 'super-secret-key-0123456789-abcdefghij', guessable],
    ['that is called a password', 'My-Password-0123456789-abcdefghijklmno', guessable],
    ['with the name of this service', 'tenantry-0123456789-abcdefghijklmnopqr', guessable],
  ]
  test.each(weak)('%s is refused, in development too', (_, value, mistake) => {
    const found = [mistakesIn({ JWT_SECRET: value }), mistakesIn({ JWT_SECRET: value, TENANTRY_ENV: 'development' })]

    expect(found).toEqual([[mistake], [mistake]])
  })

  test.each([[secret], ['x2+Qn0bJ7m/kR5vTzW8yA1cE4gH6iL9oPsUfDqXhKjM='], ['Über-långt-ord-med-ðþ-och-ñ-1']])(
    '%s is long enough',
    (value) => {
      const { jwt } = readConfig({ JWT_SECRET: value })

      expect(jwt.secret).toBe(value)
    },
  )

  const missing = 'JWT_SECRET is not set; give at least 32 random bytes (openssl rand -base64 48), or set JWT_JWKS_URL'
  const without: [string, Record<string, string | undefined>][] = [
    ['missing', {}],
    ['empty', { JWT_SECRET: '' }],
    ['blank', { JWT_SECRET: '   ' }],
    ['missing beside an empty JWT_JWKS_URL', { JWT_JWKS_URL: '' }],
    ['missing beside a blank JWT_JWKS_URL', { JWT_JWKS_URL: ' ' }],
  ]
  test.each(without)('%s stops production, and development makes one', (_, env) => {
    const production = mistakesIn(env)
    const development = readConfig({ ...env, TENANTRY_ENV: 'development' })

    expect(production).toEqual([missing])
    expect(development.jwt.secret).toBeUndefined()
  })

  test('is not needed where a key set is', () => {
    const { jwt } = readConfig({ JWT_JWKS_URL: 'https://id.example/jwks.json' })

    expect(jwt).toMatchObject({ secret: undefined, jwksUrl: 'https://id.example/jwks.json' })
  })

  test('is not asked for where the key set is what is wrong', () => {
    const mistakes = mistakesIn({ JWT_JWKS_URL: 'id.example' })

    expect(mistakes).toEqual(['JWT_JWKS_URL must be an http or https URL without user name and password'])
  })
})

describe('TENANTRY_ENV=development', () => {
  test.each(['127.0.0.1', '::1', 'localhost'])('listens on %s', (HOST) => {
    const config = readConfig({ TENANTRY_ENV: 'development', HOST })

    expect(config).toMatchObject({ environment: 'development', host: HOST })
  })

  test.each(['0.0.0.0', '::', '192.168.1.7', 'tenantry.internal', '127.0.0.1.example.com'])(
    'does not listen on %s, where production does',
    (HOST) => {
      const mistakes = mistakesIn({ TENANTRY_ENV: 'development', HOST })

      expect(mistakes).toEqual([
        'HOST must be 127.0.0.1, ::1 or localhost while TENANTRY_ENV=development; set TENANTRY_ENV=production to listen elsewhere',
      ])
      expect(readConfig({ HOST, JWT_SECRET: secret }).host).toBe(HOST)
    },
  )

  const files: [string, string][] = [
    ['sqlite:./data/tenantry.db', './data/.jwt-secret'],
    ['sqlite:/var/lib/tenantry/tenantry.db', '/var/lib/tenantry/.jwt-secret'],
    ['sqlite::memory:', './data/.jwt-secret'],
    ['postgres://db/tenantry', './data/.jwt-secret'],
  ]
  test.each(files)('with %s keeps its secret in %s', (databaseUrl, file) => {
    const found = developmentFile(databaseUrl, '.jwt-secret')

    expect(found).toBe(file)
  })
})
