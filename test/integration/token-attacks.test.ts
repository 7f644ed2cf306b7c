import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '../kit'
import { bearer, claimsOf, handmade, invalidToken } from './token'

type Claims = Record<string, unknown>

describe('The algorithm', () => {
  const unsigned = (alg: unknown) => (claims: Claims) => handmade(claims, { header: { alg } }).replace(/[^.]*$/, '')
  const forged: [string, (claims: Claims) => string][] = [
    ['none', unsigned('none')],
    ['None', unsigned('None')],
    ['NONE', unsigned('NONE')],
    ['none, with the signature of HS256', (claims) => handmade(claims, { header: { alg: 'none' } })],
    ['HS512 with the same secret', (claims) => handmade(claims, { header: { alg: 'HS512' }, hash: 'sha512' })],
    ['HS384 with the same secret', (claims) => handmade(claims, { header: { alg: 'HS384' }, hash: 'sha384' })],
    ['hs256', (claims) => handmade(claims, { header: { alg: 'hs256' } })],
    ['RS256, where no keys are configured', (claims) => handmade(claims, { header: { alg: 'RS256' } })],
    ['missing', (claims) => handmade(claims, { header: { alg: undefined } })],
    ['empty', (claims) => handmade(claims, { header: { alg: '' } })],
    ['null', (claims) => handmade(claims, { header: { alg: null } })],
    ['a list', (claims) => handmade(claims, { header: { alg: ['HS256'] } })],
    ['HS256 with an empty secret', (claims) => handmade(claims, { secret: '' })],
  ]
  test.each(forged)('%s is refused', async (_, forge, { anonymous, users }) => {
    const good = claimsOf(users.viewerA)

    const response = await anonymous.get('/api/v1/me', bearer(forge(good)))

    expect(response).toMatchObject(invalidToken())
    expect(await anonymous.get('/api/v1/me', bearer(handmade(good)))).toMatchObject({ status: 200 })
  })
})

describe('A header of a token that points at a key', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const attackers = 'zT5nW8bQ2kXv7LmR4pYs9HdG3jFc6AeU'
  const pointers: [string, Record<string, unknown>][] = [
    ['kid as a path', { kid: '../../../dev/null' }],
    ['kid as SQL', { kid: "x' union select 'zT5nW8bQ2kXv7LmR4pYs9HdG3jFc6AeU' --" }],
    ['kid as a URL', { kid: 'https://attacker.example/key' }],
    ['kid as a command', { kid: '| cat /etc/passwd' }],
    ['kid as an object', { kid: { $ne: null } }],
    ['jku', { jku: 'https://attacker.example/jwks.json' }],
    ['x5u', { x5u: 'https://attacker.example/cert.pem' }],
    ['x5c', { x5c: ['MIIB'] }],
    ['jwk with a secret', { jwk: { kty: 'oct', k: Buffer.from(attackers).toString('base64url') } }],
    ['jwk with a public key', { jwk: publicKey.export({ format: 'jwk' }) }],
  ]
  test.each(pointers)('%s is not looked at', async (_, header, { anonymous, users }) => {
    const claims = claimsOf(users.viewerA)

    const responses = await Promise.all([
      anonymous.get('/api/v1/me', bearer(handmade(claims, { header, secret: attackers }))),
      anonymous.get('/api/v1/me', bearer(handmade(claims, { header, secret: '' }))),
      anonymous.get('/api/v1/me', bearer(handmade(claims, { header }))),
    ])

    expect(responses).toMatchObject([invalidToken(), invalidToken(), { status: 200 }])
  })

  test('crit with something that nobody understands is refused', async ({ anonymous, users }) => {
    const claims = claimsOf(users.viewerA)
    const critical = handmade(claims, { header: { crit: ['role'], role: 'admin' } })

    const response = await anonymous.get('/api/v1/me', bearer(critical))

    expect(response).toMatchObject(invalidToken())
    expect(await anonymous.get('/api/v1/me', bearer(handmade(claims)))).toMatchObject({ status: 200 })
  })
})

describe('A hostile credential', () => {
  const texts: [string, string][] = [
    ['an end of a string', "'"],
    ['a condition that is always true', "'or'1'='1"],
    ['a comment', "admin'--"],
    ['a second statement', "');drop/**/table/**/users;--"],
    ['a union', "'union/**/select/**/external_id/**/from/**/users--"],
    ['a sleep', "'||pg_sleep(10)--"],
    ['a pattern', '%'],
    ['a shell command', '$(id)'],
    ['a template', '{{7*7}}<%=7*7%>'],
    ['escapes', '\\x00\\u0000%00'],
  ]
  test.each(texts)('of %s is refused like any other', async (_, text, { anonymous, adminA }) => {
    const response = await anonymous.get('/api/v1/me', bearer(text))

    // The same on every answer, and full of quotation marks of its own.
    const { 'content-security-policy': _policy, ...headers } = response.headers
    expect(response).toMatchObject(invalidToken())
    expect(JSON.stringify({ ...response, headers })).not.toContain(text)
    expect(await adminA.get('/api/v1/admin/users')).toMatchObject({ status: 200, headers: { 'x-total-count': '3' } })
  })

  const names: [string][] = [["ada' or '1'='1"], ["ada'--"], ['%'], ['ad_'], ['ada\u2028'], ['\ud800']]
  test.each(names)('signed well, with the name %j, is nobody', async (sub, { anonymous, users }) => {
    const good = claimsOf(users.adminA)

    const response = await anonymous.get('/api/v1/me', bearer(handmade({ ...good, sub })))

    expect(response).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect(await anonymous.get('/api/v1/me', bearer(handmade(good)))).toMatchObject({ status: 200 })
  })

  test('of 64 KB is refused, signed well or not', async ({ anonymous, users }) => {
    const good = claimsOf(users.viewerA)
    const large = handmade({ ...good, note: 'x'.repeat(48 * 1024) })

    const responses = await Promise.all([
      anonymous.get('/api/v1/me', bearer(large)),
      anonymous.get('/api/v1/me', bearer('x'.repeat(64 * 1024))),
      anonymous.get('/api/v1/me', bearer(handmade({ ...good, note: 'x'.repeat(4 * 1024) }))),
    ])

    expect(responses).toMatchObject([invalidToken(), invalidToken(), { status: 200 }])
  })
})
