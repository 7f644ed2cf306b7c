import { tokenVerifier } from '../../src/auth/tokens'
import { deps, describe, expect, jwtConfig, test } from '../kit'
import { strangerTo } from '../speaking'
import { bearer, claimsOf, handmade, invalidToken, startSeconds } from './token'

type Claims = Record<string, unknown>
const day = 24 * 60 * 60

describe('A claim', () => {
  const refused: [string, Claims][] = [
    ['aud of another service', { aud: 'billing' }],
    ['aud in another case', { aud: 'Tenantry' }],
    ['aud that only begins well', { aud: 'tenantry-admin' }],
    ['aud as a list without this service', { aud: ['billing', 'search'] }],
    ['aud as an empty list', { aud: [] }],
    ['aud as an object', { aud: { tenantry: true } }],
    ['aud null', { aud: null }],
    ['exp as text', { exp: String(startSeconds + 3600) }],
    ['exp null', { exp: null }],
    ['exp as a list', { exp: [startSeconds + 3600] }],
    ['exp 30 s ago', { exp: startSeconds - 30 }],
    ['exp zero', { exp: 0 }],
    ['exp over a day away', { exp: startSeconds + day + 31 }],
    ['exp in a thousand years', { exp: startSeconds + 1000 * 365 * day }],
    ['exp over a day away, without iat', { iat: undefined, exp: startSeconds + day + 31 }],
    ['exp in milliseconds', { exp: (startSeconds + 3600) * 1000 }],
    ['iat so early that the life is over a day', { iat: startSeconds - day, exp: startSeconds + 60 }],
    ['iat 31 s ahead', { iat: startSeconds + 31 }],
    ['iat as text', { iat: String(startSeconds) }],
    ['nbf 31 s ahead', { nbf: startSeconds + 31 }],
    ['nbf as text', { nbf: String(startSeconds) }],
    ['tenant_id as a list', { tenant_id: ['01890000-0000-7000-8000-000000000000'] }],
    ['tenant_id as an object', { tenant_id: { $ne: null } }],
    ['tenant_id as a number', { tenant_id: 1 }],
    ['tenant_id true', { tenant_id: true }],
    ['tenant_id null', { tenant_id: null }],
    ['tenant_id empty', { tenant_id: '' }],
    ['tenant_id as SQL', { tenant_id: "01890000-0000-7000-8000-000000000000' or '1'='1" }],
    ['tenant_id as a pattern', { tenant_id: '%' }],
    ['tenant_id as a slug', { tenant_id: 'acme' }],
    ['role unknown', { role: 'owner' }],
    ['role in upper case', { role: 'ADMIN' }],
    ['role with a space', { role: 'admin ' }],
    ['role as a list', { role: ['admin'] }],
    ['role as an object', { role: { admin: true } }],
    ['role as a number', { role: 2 }],
    ['role of every object', { role: 'constructor' }],
    ['role empty', { role: '' }],
    ['sub empty', { sub: '' }],
    ['sub as a number', { sub: 1 }],
    ['sub as a list', { sub: ['vera'] }],
    ['sub null', { sub: null }],
    ['sub of 300 characters', { sub: 'v'.repeat(300) }],
    ['sub with a NUL', { sub: 'vera\0' }],
  ]
  test.each(refused)('%s is refused', async (_, change, { anonymous, users }) => {
    const good = claimsOf(users.viewerA)

    const response = await anonymous.get('/api/v1/me', bearer(handmade({ ...good, ...change })))

    expect(response).toMatchObject(invalidToken())
    expect(await anonymous.get('/api/v1/me', bearer(handmade(good)))).toMatchObject({ status: 200 })
  })

  const accepted: [string, Claims][] = [
    ['aud as a list with this service', { aud: ['billing', 'tenantry'] }],
    ['exp 29 s ago', { exp: startSeconds - 29 }],
    ['exp a day and the leeway away', { exp: startSeconds + day + 30 }],
    ['iat missing', { iat: undefined }],
    ['iat 30 s ahead', { iat: startSeconds + 30 }],
    ['nbf 30 s ahead', { nbf: startSeconds + 30 }],
    ['nbf in the past', { nbf: startSeconds - day }],
    ['that nobody asked for', { permissions: ['user:manage'], is_admin: true }],
  ]
  test.each(accepted)('%s is accepted, and gives nothing more', async (_, change, { anonymous, users }) => {
    const good = claimsOf(users.viewerA)

    const response = await anonymous.get('/api/v1/me', bearer(handmade({ ...good, ...change })))

    expect(response).toMatchObject({ status: 200, body: { role: 'viewer', user: { id: users.viewerA.id } } })
  })

  test('tenant_id in upper case is refused', async ({ anonymous, users, tenantA }) => {
    const good = claimsOf(users.viewerA)
    const shouted = handmade({ ...good, tenant_id: tenantA.id.toUpperCase() })

    const response = await anonymous.get('/api/v1/me', bearer(shouted))

    expect(response).toMatchObject(invalidToken())
    expect(await anonymous.get('/api/v1/me', bearer(handmade(good)))).toMatchObject({ status: 200 })
  })

  test('exp too large for a number is refused', async ({ anonymous, users }) => {
    const text = JSON.stringify(claimsOf(users.viewerA))
    const endless = text.replace(/"exp":\d+/, '"exp":1e999')

    const response = await anonymous.get('/api/v1/me', bearer(handmade(endless)))

    expect(response).toMatchObject(invalidToken())
    expect(await anonymous.get('/api/v1/me', bearer(handmade(text)))).toMatchObject({ status: 200 })
  })

  // RFC 7519, section 4: refused, or the last one counts. What must not be is one for the check and another for the query.
  test('said twice counts as said last, for everything', async ({ anonymous, users, tenantA, tenantB }) => {
    const text = JSON.stringify(claimsOf(users.adminA))
    const lastA = text.replace('{', `{"tenant_id":"${tenantB.id}","role":"viewer",`)
    const lastB = text.replace('}', `,"tenant_id":"${tenantB.id}","role":"viewer"}`)

    const responses = await Promise.all(
      [lastA, lastB].map((payload) => anonymous.get('/api/v1/me', bearer(handmade(payload)))),
    )

    expect(responses).toMatchObject([
      { status: 200, body: { role: 'admin', tenant: tenantA, user: { id: users.adminA.id } } },
      { status: 200, body: { role: 'viewer', tenant: tenantB, user: { id: users.adminB.id } } },
    ])
  })

  test('__proto__ gives nothing to a token that lacks the rest', async ({ anonymous, users }) => {
    const good = claimsOf(users.adminA)
    const { role, ...rest } = good
    const inherited = JSON.stringify(rest).replace('{', `{"__proto__":{"role":"${role}"},`)

    const response = await anonymous.get('/api/v1/me', bearer(handmade(inherited)))

    expect(response).toMatchObject(invalidToken())
    expect(await anonymous.get('/api/v1/me', bearer(handmade(good)))).toMatchObject({ status: 200 })
  })
})

describe('iss', () => {
  const issuer = 'https://id.example'
  const strict = strangerTo({ verifyToken: tokenVerifier({ ...jwtConfig, issuer }, deps.clock, deps.egress) })

  const refused: [string, Claims][] = [
    ['missing', {}],
    ['of another', { iss: 'https://evil.example' }],
    ['with a slash more', { iss: 'https://id.example/' }],
    ['as a list', { iss: ['https://id.example'] }],
    ['null', { iss: null }],
  ]
  test.each(refused)('%s is refused where one is configured', async (_, change, { users }) => {
    const claims = claimsOf(users.viewerA)

    const response = await strict.get('/api/v1/me', bearer(handmade({ ...claims, ...change })))

    expect(response).toMatchObject(invalidToken())
    expect(await strict.get('/api/v1/me', bearer(handmade({ ...claims, iss: issuer })))).toMatchObject({ status: 200 })
  })
})
