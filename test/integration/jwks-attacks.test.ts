import { describe, expect, test } from '../kit'
import { clientsOf, ecKey, issuerOf, rsaKey, signedBy } from './key-set'
import { bearer, claimsOf, handmade, invalidToken } from './token'

type Claims = Record<string, unknown>

const rsa = rsaKey('rsa-1')
const ec = ecKey('ec-1')
const attackers = rsaKey('rsa-1')
const pem = rsa.publicKey.export({ format: 'pem', type: 'spki' }).toString()
const der = rsa.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')
const jwk = rsa.publicKey.export({ format: 'jwk' })

describe('An algorithm is bound to its kind of key', () => {
  const forged: [string, (claims: Claims) => string][] = [
    ["HS256 with the public key's PEM", (claims) => handmade(claims, { secret: pem })],
    ['the same without the last line end', (claims) => handmade(claims, { secret: pem.trim() })],
    ['the same with its kid', (claims) => handmade(claims, { secret: pem, header: { kid: 'rsa-1' } })],
    ["HS256 with the public key's DER", (claims) => handmade(claims, { secret: der })],
    ["HS256 with the public key's JWK", (claims) => handmade(claims, { secret: JSON.stringify(jwk) })],
    ["HS256 with the public key's modulus", (claims) => handmade(claims, { secret: String(jwk.n) })],
    ['HS256 with the kid as secret', (claims) => handmade(claims, { secret: 'rsa-1', header: { kid: 'rsa-1' } })],
    ['none with a known kid', (claims) => handmade(claims, { header: { alg: 'none', kid: 'rsa-1' } })],
    ['RS256 signed with the secret', (claims) => handmade(claims, { header: { alg: 'RS256', kid: 'rsa-1' } })],
    ['RS256 with the kid of the EC key', (claims) => signedBy({ ...rsa, kid: 'ec-1' }, 'RS256', claims)],
    ['ES256 with the kid of the RSA key', (claims) => signedBy({ ...ec, kid: 'rsa-1' }, 'ES256', claims)],
    ['RS256 of a strange key under a known kid', (claims) => signedBy(attackers, 'RS256', claims)],
    ['RS512 of a known key', (claims) => signedBy(rsa, 'RS512', claims)],
    ['PS256 of a known key', (claims) => signedBy(rsa, 'PS256', claims)],
    ['RS256 that says ES256', (claims) => signedBy(rsa, 'RS256', claims, { alg: 'ES256' })],
    ['RS256 with a kid that is a list', (claims) => signedBy(rsa, 'RS256', claims, { kid: ['rsa-1'] })],
    ['RS256 with a kid that is a path', (claims) => signedBy(rsa, 'RS256', claims, { kid: '../rsa-1' })],
    ['RS256 with a kid that is SQL', (claims) => signedBy(rsa, 'RS256', claims, { kid: "rsa-1' or '1'='1" })],
  ]
  test.each(forged)('%s is refused', async (_, forge, { users }) => {
    await using issuer = issuerOf(rsa, ec)
    const { keysOnly, both } = clientsOf(issuer.url)
    const good = claimsOf(users.adminA)
    const token = forge(good)

    const responses = await Promise.all([keysOnly, both].map((each) => each.get('/api/v1/me', bearer(token))))

    expect(responses).toMatchObject([invalidToken(), invalidToken()])
    expect(await keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', good)))).toMatchObject({ status: 200 })
    expect(await both.get('/api/v1/me', bearer(signedBy(ec, 'ES256', good)))).toMatchObject({ status: 200 })
  })

  test('HS256 with the secret serves where a secret is configured, and only there', async ({ users }) => {
    await using issuer = issuerOf(rsa)
    const { keysOnly, both } = clientsOf(issuer.url)
    const token = handmade(claimsOf(users.viewerA))

    const responses = await Promise.all([keysOnly, both].map((each) => each.get('/api/v1/me', bearer(token))))

    expect(responses).toMatchObject([invalidToken(), { status: 200 }])
    expect(issuer.fetches()).toBe(0)
  })
})

describe('A key that the token brings along', () => {
  const pointing: [string, (url: string) => Record<string, unknown>][] = [
    ['as jwk', () => ({ jwk: attackers.publicKey.export({ format: 'jwk' }) })],
    ['as jwk, without kid', () => ({ jwk: attackers.publicKey.export({ format: 'jwk' }), kid: undefined })],
    ['as jku', (url) => ({ jku: url })],
    ['as x5u', (url) => ({ x5u: url })],
    ['as a kid that is a URL', (url) => ({ kid: url })],
  ]
  test.each(pointing)('%s is neither used nor fetched', async (_, headerOf, { users }) => {
    await using issuer = issuerOf(rsa)
    await using attacker = issuerOf(attackers)
    const { keysOnly } = clientsOf(issuer.url)
    const claims = claimsOf(users.adminA)

    const response = await keysOnly.get(
      '/api/v1/me',
      bearer(signedBy(attackers, 'RS256', claims, headerOf(attacker.url))),
    )

    expect(response).toMatchObject(invalidToken())
    expect(attacker.fetches()).toBe(0)
    expect(await keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', claims)))).toMatchObject({ status: 200 })
  })
})
