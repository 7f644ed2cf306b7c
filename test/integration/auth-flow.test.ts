import { describe, expect, test, tokenOf } from '../kit'
import { bearer, claimsOf, handmade, invalidToken } from './token'

// Made anew for each use: toMatchObject of Bun 1.4.5 looks only once at an object that it meets twice.
const withoutToken = () => ({
  status: 401,
  headers: { 'www-authenticate': 'Bearer' },
  body: { code: 'unauthenticated', detail: 'Send the header Authorization: Bearer <token>.' },
})

describe('A token', () => {
  test('lets its user in, as who it is', async ({ anonymous, users, tenantA }) => {
    const token = await tokenOf(users.viewerA)

    const response = await anonymous.get('/api/v1/me', bearer(token))

    expect(response).toMatchObject({
      status: 200,
      body: {
        user: { id: users.viewerA.id, external_id: 'vera', tenant_id: tenantA.id },
        tenant: tenantA,
        role: 'viewer',
        permissions: ['self:read', 'conversation:read', 'plugin:read', 'analytics:read'],
      },
    })
  })

  test('is asked for where there is none, in a problem that says nothing else', async ({ anonymous, adminA }) => {
    const response = await anonymous.get('/api/v1/me', { headers: { 'x-request-id': 'r-1' } })

    expect(response.status).toBe(401)
    expect(response.headers).toMatchObject({
      'www-authenticate': 'Bearer',
      'content-type': 'application/problem+json',
    })
    expect(response.body).toEqual({
      type: 'urn:problem-type:unauthenticated',
      title: 'Authentication is needed',
      status: 401,
      detail: 'Send the header Authorization: Bearer <token>.',
      code: 'unauthenticated',
      instance: '/api/v1/me',
      request_id: 'r-1',
    })
    expect(await adminA.get('/api/v1/me')).toMatchObject({ status: 200 })
  })

  test('is good to the last second of its leeway and not for one more', async ({ anonymous, users, clock }) => {
    const token = await tokenOf(users.viewerA, 3600)
    clock.advance({ hours: 1, seconds: 29 })

    const last = await anonymous.get('/api/v1/me', bearer(token))
    clock.advance({ seconds: 1 })
    const after = await anonymous.get('/api/v1/me', bearer(token))

    expect(last).toMatchObject({ status: 200 })
    expect(after).toMatchObject(invalidToken())
  })

  test('stays expired although it was verified a moment before', async ({ anonymous, users, clock }) => {
    const token = await tokenOf(users.viewerA, 10)
    expect(await anonymous.get('/api/v1/me', bearer(token))).toMatchObject({ status: 200 })
    clock.advance({ seconds: 40 })

    const response = await anonymous.get('/api/v1/me', bearer(token))

    expect(response).toMatchObject(invalidToken())
  })

  test('serves twenty requests at once', async ({ anonymous, users }) => {
    const token = await tokenOf(users.operatorA)

    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        anonymous.post('/api/v1/conversations', { title: `Meeting ${n}` }, bearer(token)),
      ),
    )

    expect(responses.map(({ status, body }) => [status, body.title, body.user_id])).toEqual(
      Array.from({ length: 20 }, (_, n) => [201, `Meeting ${n}`, users.operatorA.id]),
    )
  })

  const broken: [string, (token: string) => string][] = [
    ['whose signature was made with another secret', (token) => resigned(token)],
    ['whose signature is cut', (token) => token.slice(0, -4)],
    ['without a signature', (token) => token.slice(0, token.lastIndexOf('.') + 1)],
    ['of two parts', (token) => token.slice(0, token.lastIndexOf('.'))],
    ['of four parts', (token) => `${token}.e30`],
    ['whose claims were exchanged', (token) => withClaims(token, { role: 'admin' })],
    ['whose claims are no JSON', () => handmade('{"sub":')],
    ['whose claims are a list', () => handmade('[]')],
    ['whose claims are null', () => handmade('null')],
    ['that is a word', () => 'token'],
    ['that is only dots', () => '..'],
    ['in another encoding', (token) => encodeURIComponent(token).replaceAll('.', '%2E')],
  ]
  test.each(broken)('%s is refused', async (_, breaking, { anonymous, users }) => {
    const good = await tokenOf(users.viewerA)

    const response = await anonymous.get('/api/v1/me', bearer(breaking(good)))

    expect(response).toMatchObject(invalidToken())
    expect(await anonymous.get('/api/v1/me', bearer(good))).toMatchObject({ status: 200 })
  })

  const required: [string][] = [['exp'], ['sub'], ['tenant_id'], ['role'], ['aud']]
  test.each(required)('that lacks the claim %s is refused', async (claim, { anonymous, users }) => {
    const claims = claimsOf(users.viewerA)

    const response = await anonymous.get('/api/v1/me', bearer(handmade({ ...claims, [claim]: undefined })))

    expect(response).toMatchObject(invalidToken())
    expect(await anonymous.get('/api/v1/me', bearer(handmade(claims)))).toMatchObject({ status: 200 })
  })
})

describe('The Authorization header', () => {
  const taken: [string, (token: string) => string][] = [
    ['in lower case', (token) => `bearer ${token}`],
    ['in upper case', (token) => `BEARER ${token}`],
    ['with two spaces', (token) => `Bearer  ${token}`],
  ]
  test.each(taken)('is understood %s', async (_, write, { anonymous, users }) => {
    const authorization = write(await tokenOf(users.viewerA))

    const response = await anonymous.get('/api/v1/me', { headers: { authorization } })

    expect(response).toMatchObject({ status: 200, body: { user: { id: users.viewerA.id } } })
  })

  const notTaken: [string, (token: string) => string][] = [
    ['is empty', () => ''],
    ['has no token', () => 'Bearer'],
    ['has the scheme Basic', () => `Basic ${btoa('ada:secret')}`],
    ['has the scheme Basic and a good token', (token) => `Basic ${token}`],
    ['has the scheme Token', (token) => `Token ${token}`],
    ['has no scheme', (token) => token],
    ['has no space', (token) => `Bearer${token}`],
    ['has a tab', (token) => `Bearer\t${token}`],
    ['has something behind the token', (token) => `Bearer ${token} admin`],
    ['has two tokens', (token) => `Bearer ${token}, Bearer ${token}`],
    ['has the token after a comma', (token) => `Bearer ,${token}`],
    ['has parameters', (token) => `Bearer realm="api", token="${token}"`],
  ]
  test.each(notTaken)('is as good as none when it %s', async (_, write, { anonymous, users }) => {
    const token = await tokenOf(users.viewerA)

    const response = await anonymous.get('/api/v1/me', { headers: { authorization: write(token) } })

    expect(response).toMatchObject(withoutToken())
    expect(await anonymous.get('/api/v1/me', bearer(token))).toMatchObject({ status: 200 })
  })

  test('is the only place where a token counts', async ({ anonymous, users }) => {
    const token = await tokenOf(users.viewerA)

    const responses = await Promise.all([
      anonymous.get(`/api/v1/me?access_token=${token}&token=${token}`),
      anonymous.get('/api/v1/me', { headers: { cookie: `token=${token}; Authorization=Bearer ${token}` } }),
      anonymous.get('/api/v1/me', { headers: { 'x-access-token': token, 'proxy-authorization': `Bearer ${token}` } }),
    ])

    expect(responses).toMatchObject([withoutToken(), withoutToken(), withoutToken()])
    expect(await anonymous.get('/api/v1/me', bearer(token))).toMatchObject({ status: 200 })
  })
})

describe('What comes first', () => {
  const nonsense: [string, number, string, Record<string, string>][] = [
    ['is no JSON', 400, '{"title":', {}],
    ['has fields that nobody knows', 422, '{"nope":1}', {}],
    ['is empty', 422, '', {}],
    ['is of another type', 415, '<title/>', { 'content-type': 'text/xml' }],
    ['is too large', 413, JSON.stringify({ title: 'x'.repeat(1024 * 1024) }), {}],
  ]
  test.each(nonsense)(
    'is who asks: a body that %s is %d only to those who may send one',
    async (_, status, body, headers, { anonymous, viewerA, operatorA }) => {
      const [stranger, reader, writer] = await Promise.all(
        [anonymous, viewerA, operatorA].map((each) => each.post('/api/v1/conversations', body, { headers })),
      )

      expect(stranger).toMatchObject(withoutToken())
      expect(reader).toMatchObject({ status: 403, body: { code: 'forbidden' } })
      expect(writer).toMatchObject({ status })
    },
  )

  test('is who asks: a bad query and a bad id come after that', async ({ anonymous, viewerA, operatorA, adminA }) => {
    const query = '/api/v1/admin/users?limit=none'
    const id = '/api/v1/admin/users/no-id'

    const responses = await Promise.all([
      anonymous.get(query),
      viewerA.get(query),
      adminA.get(query),
      anonymous.get(id),
      operatorA.get(id),
      adminA.get(id),
    ])

    expect(responses.map(({ status }) => status)).toEqual([401, 403, 422, 401, 403, 404])
  })
})

function resigned(token: string): string {
  const [, payload = ''] = token.split('.')
  return handmade(Buffer.from(payload, 'base64url').toString(), { secret: 'pR4w8ZkN2vXq7LmT5sYb9HdG3jFc6AeU' })
}

/** The same signature under other claims. */
function withClaims(token: string, change: Record<string, unknown>): string {
  const [header, payload = '', signature] = token.split('.')
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), ...change }
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}
