import { describe, expect, startsAt, test, tokenOf } from '../kit'
import { bearer } from './token'

const path = '/api/v1/admin/users'
const kim = { external_id: 'kim', email: 'kim@acme.example', role: 'operator' }
const nobody = '01890000-0000-7000-8000-000000000000'
const uuidv7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

// Serial: they are about the same names, and on Postgres who wants a name waits for whoever took it first.
describe.serial('POST /api/v1/admin/users', () => {
  test('creates an active user without a display name', async ({ adminA, tenantA }) => {
    const response = await adminA.post(path, kim)

    expect(response.status).toBe(201)
    expect(response.body).toEqual({
      id: expect.stringMatching(uuidv7),
      tenant_id: tenantA.id,
      external_id: 'kim',
      email: 'kim@acme.example',
      display_name: null,
      role: 'operator',
      is_active: true,
      created_at: startsAt.toISOString(),
      updated_at: startsAt.toISOString(),
    })
    expect(await adminA.get(`${path}/${response.body.id}`)).toMatchObject({ status: 200, body: response.body })
  })

  test('keeps a display name as it is written, and an email in lower case', async ({ adminA }) => {
    const response = await adminA.post(path, { ...kim, display_name: 'Kim Øre 🌱', email: 'Kim.Ore@ACME.example' })

    expect(response).toMatchObject({
      status: 201,
      body: { display_name: 'Kim Øre 🌱', email: 'kim.ore@acme.example' },
    })
  })

  test('makes a user who can use the service with a token of its name', async ({ adminA, anonymous }) => {
    const { body: created } = await adminA.post(path, kim)

    const response = await anonymous.get('/api/v1/me', bearer(await tokenOf(created)))

    expect(response).toMatchObject({ status: 200, body: { user: created, role: 'operator' } })
  })

  const taken: [string, Record<string, string>][] = [
    ['external_id', { external_id: 'vera' }],
    ['email', { email: 'vera@acme.example' }],
    ['email in another case', { email: 'VERA@Acme.Example' }],
  ]
  test.each(taken)('refuses a taken %s, and only within the tenant', async (_, change, { adminA, adminB }) => {
    const response = await adminA.post(path, { ...kim, ...change })

    expect(response).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect(await adminA.get(path)).toMatchObject({ headers: { 'x-total-count': '3' } })
    expect(await adminB.post(path, { ...kim, ...change })).toMatchObject({ status: 201 })
  })

  test('refuses what a deactivated user still has', async ({ adminA, users }) => {
    await adminA.delete(`${path}/${users.viewerA.id}`)

    const response = await adminA.post(path, { ...kim, external_id: 'vera' })

    expect(response).toMatchObject({ status: 409 })
    expect(await adminA.post(path, kim)).toMatchObject({ status: 201 })
  })

  test('knows an email whose accents come apart for the one whose accents do not', async ({ adminA }) => {
    const created = await adminA.post(path, { ...kim, email: 'ZOE\u0308@acme.example' })

    const response = await adminA.post(path, { ...kim, external_id: 'zoe', email: 'zo\u00eb@acme.example' })

    expect(created).toMatchObject({ status: 201, body: { email: 'zo\u00eb@acme.example' } })
    expect(response).toMatchObject({ status: 409 })
    expect(await adminA.post(path, { ...kim, external_id: 'zoe', email: 'zoe@acme.example' })).toMatchObject({
      status: 201,
    })
  })

  test('admits one of ten who want the same name at once', async ({ adminA }) => {
    const responses = await Promise.all(
      Array.from({ length: 10 }, (_, n) => adminA.post(path, { ...kim, email: `kim${n}@acme.example` })),
    )

    expect(responses.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 9 }, () => 409)])
    expect(await adminA.get(path)).toMatchObject({ headers: { 'x-total-count': '4' } })
  })

  const smuggled: [string, unknown][] = [
    ['tenant_id', nobody],
    ['id', nobody],
    ['created_at', '2020-01-01T00:00:00.000Z'],
    ['updated_at', '2020-01-01T00:00:00.000Z'],
    ['is_active', true],
    ['permissions', ['user:manage']],
    ['constructor', { prototype: { role: 'admin' } }],
  ]
  test.each(smuggled)('refuses the field %s', async (field, value, { adminA }) => {
    const response = await adminA.post(path, { ...kim, [field]: value })

    expect(response).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', errors: [{ in: 'body', path: `/${field}`, message: 'is not known here' }] },
    })
    expect(await adminA.post(path, kim)).toMatchObject({ status: 201 })
  })

  const wrong: [string, string, unknown][] = [
    ['no external_id', '/external_id', { ...kim, external_id: undefined }],
    ['an empty external_id', '/external_id', { ...kim, external_id: '' }],
    ['an external_id of 256 characters', '/external_id', { ...kim, external_id: 'x'.repeat(256) }],
    ['a number as external_id', '/external_id', { ...kim, external_id: 7 }],
    ['no email', '/email', { ...kim, email: undefined }],
    ['an email without @', '/email', { ...kim, email: 'kim.acme.example' }],
    ['an email with nothing before @', '/email', { ...kim, email: '@acme.example' }],
    ['an email with nothing after @', '/email', { ...kim, email: 'kim@' }],
    ['an email with two @', '/email', { ...kim, email: 'kim@acme@example' }],
    ['an email with a space', '/email', { ...kim, email: 'kim @acme.example' }],
    ['an email with a line break', '/email', { ...kim, email: 'kim@acme.example\nbcc:all' }],
    ['no role', '/role', { ...kim, role: undefined }],
    ['an unknown role', '/role', { ...kim, role: 'owner' }],
    ['a role in upper case', '/role', { ...kim, role: 'ADMIN' }],
    ['a list of roles', '/role', { ...kim, role: ['admin'] }],
    ['an empty display name', '/display_name', { ...kim, display_name: '' }],
    ['a display name of 201 characters', '/display_name', { ...kim, display_name: 'x'.repeat(201) }],
  ]
  test.each(wrong)('refuses %s and names the field', async (_, field, body, { adminA }) => {
    const response = await adminA.post(path, body)

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'body', path: field }] } })
    expect(await adminA.post(path, kim)).toMatchObject({ status: 201 })
  })
})

describe('GET /api/v1/admin/users', () => {
  test("lists the tenant's own users, newest first, those out of service too", async ({ adminA, users }) => {
    await adminA.delete(`${path}/${users.operatorA.id}`)

    const response = await adminA.get(path)

    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': '3' } })
    expect(response.headers).not.toHaveProperty('link')
    expect(response.body.map((user: typeof users.adminA) => [user.external_id, user.is_active])).toEqual([
      ['vera', true],
      ['olivia', false],
      ['ada', true],
    ])
  })

  test('goes from page to page by the cursor in its Link header', async ({ adminA, users }) => {
    const first = await adminA.get(`${path}?limit=2`)
    const [, next = ''] = /^<(.+)>; rel="next"$/.exec(first.headers.link ?? '') ?? []
    const second = await adminA.get(next)

    expect(first).toMatchObject({ status: 200, headers: { 'x-total-count': '3' } })
    expect(next).toStartWith(`${path}?limit=2&cursor=`)
    expect(ids(first)).toEqual([users.viewerA.id, users.operatorA.id])
    expect(second).toMatchObject({ status: 200, headers: { 'x-total-count': '3' } })
    expect(ids(second)).toEqual([users.adminA.id])
    expect(second.headers).not.toHaveProperty('link')
  })

  test('goes on by offset where it was asked by offset', async ({ adminA, users }) => {
    const middle = await adminA.get(`${path}?limit=1&offset=1`)
    const beyond = await adminA.get(`${path}?offset=3`)

    expect(ids(middle)).toEqual([users.operatorA.id])
    expect(middle.headers.link).toBe(`<${path}?limit=1&offset=2>; rel="next"`)
    expect(beyond).toMatchObject({ status: 200, body: [], headers: { 'x-total-count': '3' } })
  })

  test('shows a user once although another was created between two pages', async ({ adminA, users }) => {
    const first = await adminA.get(`${path}?limit=2`)
    const [, next = ''] = /^<(.+)>; rel="next"$/.exec(first.headers.link ?? '') ?? []

    await adminA.post(path, kim)
    const second = await adminA.get(next)

    expect(ids(second)).toEqual([users.adminA.id])
  })

  const queries: [string, string][] = [
    ['limit=0', '/limit'],
    ['limit=101', '/limit'],
    ['limit=-1', '/limit'],
    ['limit=ten', '/limit'],
    ['offset=-1', '/offset'],
    ['cursor=', '/cursor'],
    ['cursor=abc', '/cursor'],
    [`cursor=${btoa("' or '1'='1")}`, '/cursor'],
    [`cursor=${btoa('-'.repeat(36))}`, '/cursor'],
    ['tenant_id=any', '/tenant_id'],
    ['role=admin', '/role'],
  ]
  test.each(queries)('refuses ?%s', async (query, field, { adminA }) => {
    const response = await adminA.get(`${path}?${query}`)

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'query', path: field }] } })
    expect(await adminA.get(`${path}?limit=100&offset=0`)).toMatchObject({ status: 200 })
  })
})

describe('/api/v1/admin/users', () => {
  test('is for admins', async ({ adminA, operatorA, viewerA, users }) => {
    const user = `${path}/${users.viewerA.id}`
    const asked = (each: typeof adminA) => [
      each.get(path),
      each.post(path, kim),
      each.get(user),
      each.patch(user, { display_name: 'Vera' }),
      each.delete(user),
    ]

    const operators = await Promise.all(asked(operatorA))
    const viewers = await Promise.all(asked(viewerA))

    const outcomes = (answers: typeof viewers) => answers.map(({ status, body }) => [status, body.code])
    const refused = [403, 'forbidden']
    expect(outcomes(operators)).toEqual([refused, refused, refused, refused, refused])
    expect(outcomes(viewers)).toEqual([refused, refused, refused, refused, refused])
    expect((await Promise.all(asked(adminA))).map(({ status }) => status)).toEqual([200, 201, 200, 200, 204])
  })

  test("hides another tenant's user as if it did not exist", async ({ adminA, adminB, users }) => {
    const headers = { 'x-request-id': 'same' }
    const asked = (id: string) => [
      adminB.get(`${path}/${id}`, { headers }),
      adminB.patch(`${path}/${id}`, { role: 'viewer' }, { headers }),
      adminB.delete(`${path}/${id}`, { headers }),
    ]

    const foreign = await Promise.all(asked(users.viewerA.id))
    const unknown = await Promise.all(asked(nobody))
    const malformed = await Promise.all(asked('no-id'))

    const words = (answers: typeof foreign) =>
      answers.map(({ status, body: { instance: _, ...problem } }) => ({ status, ...problem }))
    expect(words(foreign)).toMatchObject([{ status: 404 }, { status: 404 }, { status: 404 }])
    expect(words(foreign)).toEqual(words(unknown))
    expect(words(malformed)).toEqual(words(unknown))
    expect(await adminA.get(`${path}/${users.viewerA.id}`)).toMatchObject({ status: 200, body: { is_active: true } })
  })
})

const ids = ({ body }: { body: { id: string }[] }) => body.map(({ id }) => id)
