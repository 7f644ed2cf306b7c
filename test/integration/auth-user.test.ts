import { eq } from 'drizzle-orm'
import { tenants } from '../../src/database/tables'
import { database, describe, expect, test } from '../kit'
import { bearer, claimsOf, handmade } from './token'

// Made anew for each use: toMatchObject of Bun 1.4.5 looks only once at an object that it meets twice.
const notActive = () => ({
  status: 403,
  body: { code: 'forbidden', detail: 'The token is good, but its user is not active in its tenant.' },
})

describe('The stored user', () => {
  const strangers: [string, (good: ReturnType<typeof claimsOf>, tenantB: string) => Record<string, unknown>][] = [
    ['a user of another tenant', (good, tenant_id) => ({ ...good, tenant_id })],
    ['a user whom nobody created', (good) => ({ ...good, sub: 'nobody' })],
    ['a name in another case', (good) => ({ ...good, sub: 'OLIVIA' })],
    ['an email in place of the id', (good) => ({ ...good, sub: 'olivia@acme.example' })],
    ['a tenant that does not exist', (good) => ({ ...good, tenant_id: '01890000-0000-7000-8000-000000000000' })],
  ]
  test.each(strangers)('is needed: %s is refused', async (_, change, { anonymous, users, tenantB }) => {
    const good = claimsOf(users.operatorA)

    const response = await anonymous.get('/api/v1/me', bearer(handmade(change(good, tenantB.id))))

    expect(response).toMatchObject(notActive())
    expect(response.headers).not.toHaveProperty('www-authenticate')
    expect(await anonymous.get('/api/v1/me', bearer(handmade(good)))).toMatchObject({ status: 200 })
  })

  test('of the same name in two tenants is two users', async ({ adminA, adminB, users }) => {
    const [inA, inB] = await Promise.all([adminA.get('/api/v1/me'), adminB.get('/api/v1/me')])

    expect(inA.body.user).toMatchObject({ id: users.adminA.id, external_id: 'ada', email: 'ada@acme.example' })
    expect(inB.body.user).toMatchObject({ id: users.adminB.id, external_id: 'ada', email: 'ada@globex.example' })
  })

  test('is out at once when deactivated, and in again when activated', async ({ adminA, operatorA, users }) => {
    expect(await operatorA.get('/api/v1/me')).toMatchObject({ status: 200 })
    const path = `/api/v1/admin/users/${users.operatorA.id}`

    await adminA.patch(path, { is_active: false })
    const out = await operatorA.get('/api/v1/me')
    await adminA.patch(path, { is_active: true })
    const back = await operatorA.get('/api/v1/me')

    expect(out).toMatchObject(notActive())
    expect(back).toMatchObject({ status: 200 })
  })

  test('is out at once when the tenant is not active, and other tenants notice nothing', async ({
    adminA,
    viewerA,
    adminB,
    tenantA,
  }) => {
    expect(await adminA.get('/api/v1/me')).toMatchObject({ status: 200 })

    await database.update(tenants).set({ is_active: false }).where(eq(tenants.id, tenantA.id))
    const responses = await Promise.all([adminA, viewerA, adminB].map((each) => each.get('/api/v1/me')))

    expect(responses).toMatchObject([notActive(), notActive(), { status: 200 }])
  })

  test('loses a role at once, although the token still has it', async ({ adminA, operatorA, users }) => {
    expect(await operatorA.post('/api/v1/conversations', {})).toMatchObject({ status: 201 })

    await adminA.patch(`/api/v1/admin/users/${users.operatorA.id}`, { role: 'viewer' })
    const response = await operatorA.post('/api/v1/conversations', {})

    expect(response).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect(await operatorA.get('/api/v1/conversations')).toMatchObject({ status: 200 })
  })
})

describe('The effective role', () => {
  const pairs: [string, string, string][] = [
    ['viewer', 'viewer', 'viewer'],
    ['admin', 'viewer', 'viewer'],
    ['operator', 'viewer', 'viewer'],
    ['viewer', 'operator', 'viewer'],
    ['operator', 'operator', 'operator'],
    ['admin', 'operator', 'operator'],
    ['viewer', 'admin', 'viewer'],
    ['operator', 'admin', 'operator'],
    ['admin', 'admin', 'admin'],
  ]
  test.each(pairs)(
    'of a token that says %s for a user who is %s is %s',
    async (claimed, stored, effective, { adminA, anonymous, tenantA }) => {
      const kim = { external_id: 'kim', email: 'kim@acme.example', role: stored }
      await adminA.post('/api/v1/admin/users', kim)
      const token = handmade(claimsOf({ ...kim, tenant_id: tenantA.id, role: claimed }))

      const response = await anonymous.get('/api/v1/me', bearer(token))

      expect(response).toMatchObject({ status: 200, body: { role: effective, user: { role: stored } } })
    },
  )

  test('and not the claimed one decides what may be done', async ({ adminA, operatorA, anonymous, users }) => {
    const { body: created } = await operatorA.post('/api/v1/conversations', {})
    const path = `/api/v1/conversations/${created.id}`
    const climbing = handmade({ ...claimsOf(users.operatorA), role: 'admin' })
    const stepping = handmade({ ...claimsOf(users.adminA), role: 'operator' })

    const responses = await Promise.all([climbing, stepping].map((token) => anonymous.delete(path, bearer(token))))

    expect(responses).toMatchObject([{ status: 403 }, { status: 403 }])
    expect(await adminA.delete(path)).toMatchObject({ status: 204 })
  })
})

describe('Roles', () => {
  test('differ in what they may do with a conversation', async ({ adminA, operatorA, viewerA }) => {
    const { body: created } = await operatorA.post('/api/v1/conversations', { title: 'Q3 planning' })
    const path = `/api/v1/conversations/${created.id}`
    const from = async (each: typeof viewerA) => {
      const answers = [
        await each.get(path),
        await each.post('/api/v1/conversations', {}),
        await each.patch(path, { title: 'Q4 planning' }),
        await each.delete(path),
      ]
      return answers.map(({ status }) => status)
    }

    const viewer = await from(viewerA)
    const operator = await from(operatorA)
    const admin = await from(adminA)

    expect(viewer).toEqual([200, 403, 403, 403])
    expect(operator).toEqual([200, 201, 200, 403])
    expect(admin).toEqual([200, 201, 200, 204])
  })

  test('are told which permission a refused request needs', async ({ viewerA, operatorA, model }) => {
    model.says('Hello')

    const response = await viewerA.post('/api/v1/chat', { message: 'Hi' })

    expect(response).toMatchObject({
      status: 403,
      body: { detail: 'This needs the permission chat:write, which the role viewer does not have.' },
    })
    expect(await operatorA.post('/api/v1/chat', { message: 'Hi' })).toMatchObject({ status: 200 })
  })
})

describe('A public route', () => {
  const open: [string][] = [['/health'], ['/health/live'], ['/health/ready'], ['/openapi'], ['/openapi/json']]
  test.each(open)('%s asks for no token and looks at none', async (path, { anonymous, adminA }) => {
    const responses = await Promise.all([
      anonymous.get(path),
      anonymous.get(path, bearer('not-a-token')),
      adminA.get(path),
    ])

    expect(responses).toMatchObject([{ status: 200 }, { status: 200 }, { status: 200 }])
  })
})
