import { describe, expect, test, tokenOf } from '../kit'
import { bearer } from './token'

const path = '/api/v1/admin/users'
const lastAdmin = {
  status: 409,
  body: { code: 'conflict', detail: 'This is the last active admin of the tenant; make another user admin first.' },
}

describe('PATCH /api/v1/admin/users/:id', () => {
  const changes: [string, Record<string, unknown>][] = [
    ['role', { role: 'admin' }],
    ['display_name', { display_name: 'Vera Vale' }],
    ['is_active', { is_active: false }],
    ['all of them', { role: 'operator', display_name: 'V.', is_active: false }],
    ['nothing', {}],
  ]
  test.each(changes)('changes %s and leaves the rest', async (_, change, { adminA, users, clock }) => {
    const user = `${path}/${users.viewerA.id}`
    const { body: before } = await adminA.get(user)
    clock.advance({ minutes: 1 })

    const response = await adminA.patch(user, change)

    expect(response.status).toBe(200)
    expect(response.body).toEqual({ ...before, ...change, updated_at: '2026-03-02T09:01:00.000Z' })
    expect((await adminA.get(user)).body).toEqual(response.body)
  })

  test('clears a display name with null', async ({ adminA, users }) => {
    const user = `${path}/${users.viewerA.id}`
    await adminA.patch(user, { display_name: 'Vera Vale' })

    const response = await adminA.patch(user, { display_name: null })

    expect(response).toMatchObject({ status: 200, body: { display_name: null } })
  })

  test('finds its user by an id in upper case', async ({ adminA, users }) => {
    const response = await adminA.patch(`${path}/${users.viewerA.id.toUpperCase()}`, { role: 'operator' })

    expect(response).toMatchObject({ status: 200, body: { id: users.viewerA.id, role: 'operator' } })
  })

  const refused: [string, string, unknown][] = [
    ['tenant_id', '/tenant_id', { tenant_id: '01890000-0000-7000-8000-000000000000' }],
    ['id', '/id', { id: '01890000-0000-7000-8000-000000000000' }],
    ['external_id', '/external_id', { external_id: 'ada' }],
    ['email', '/email', { email: 'ada@acme.example' }],
    ['created_at', '/created_at', { created_at: '2020-01-01T00:00:00.000Z' }],
    ['an unknown role', '/role', { role: 'owner' }],
    ['role null', '/role', { role: null }],
    ['is_active as text', '/is_active', { is_active: 'false' }],
    ['is_active as a number', '/is_active', { is_active: 0 }],
    ['is_active null', '/is_active', { is_active: null }],
    ['an empty display name', '/display_name', { display_name: '' }],
  ]
  test.each(refused)('refuses %s and changes nothing', async (_, field, change, { adminA, users }) => {
    const user = `${path}/${users.viewerA.id}`
    const { body: before } = await adminA.get(user)

    const response = await adminA.patch(user, { display_name: 'Vera Vale', ...(change as object) })

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'body', path: field }] } })
    expect((await adminA.get(user)).body).toEqual(before)
    expect(await adminA.patch(user, { display_name: 'Vera Vale' })).toMatchObject({ status: 200 })
  })
})

describe('DELETE /api/v1/admin/users/:id', () => {
  test('deactivates: the user is out at once, and still there to be seen', async ({ adminA, viewerA, users }) => {
    const user = `${path}/${users.viewerA.id}`
    expect(await viewerA.get('/api/v1/me')).toMatchObject({ status: 200 })

    const response = await adminA.delete(user)

    expect(response).toMatchObject({ status: 204, body: undefined })
    expect(await viewerA.get('/api/v1/me')).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect(await adminA.get(user)).toMatchObject({ status: 200, body: { is_active: false, role: 'viewer' } })
  })

  test('leaves what the user wrote', async ({ adminA, operatorA, users }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', { title: 'Q3 planning' })

    await adminA.delete(`${path}/${users.operatorA.id}`)

    expect(await adminA.get(`/api/v1/conversations/${conversation.id}`)).toMatchObject({
      status: 200,
      body: { title: 'Q3 planning', user_id: users.operatorA.id },
    })
  })

  test('may be repeated', async ({ adminA, users }) => {
    const user = `${path}/${users.viewerA.id}`

    const responses = [await adminA.delete(user), await adminA.delete(user)]

    expect(responses).toMatchObject([{ status: 204 }, { status: 204 }])
  })
})

describe('The last active admin', () => {
  const ends: [string, Record<string, unknown>][] = [
    ['demoted', { role: 'operator' }],
    ['deactivated', { is_active: false }],
    ['demoted and deactivated', { role: 'viewer', is_active: false }],
  ]
  test.each(ends)('cannot be %s, and the one before the last can', async (_, change, { adminA, users }) => {
    const admin = `${path}/${users.adminA.id}`

    const response = await adminA.patch(admin, change)

    expect(response).toMatchObject(lastAdmin)
    expect(await adminA.get(admin)).toMatchObject({ status: 200, body: { role: 'admin', is_active: true } })
    await adminA.patch(`${path}/${users.operatorA.id}`, { role: 'admin' })
    expect(await adminA.patch(admin, change)).toMatchObject({ status: 200, body: change })
  })

  test('cannot be deleted, and the one before the last can', async ({ adminA, users }) => {
    const admin = `${path}/${users.adminA.id}`

    const response = await adminA.delete(admin)

    expect(response).toMatchObject(lastAdmin)
    await adminA.patch(`${path}/${users.operatorA.id}`, { role: 'admin' })
    expect(await adminA.delete(admin)).toMatchObject({ status: 204 })
  })

  test('is not saved by an admin who is deactivated, nor by one of another tenant', async ({
    adminA,
    adminB,
    users,
  }) => {
    await adminA.patch(`${path}/${users.operatorA.id}`, { role: 'admin', is_active: false })
    expect(await adminB.get('/api/v1/me')).toMatchObject({ status: 200, body: { role: 'admin' } })

    const response = await adminA.patch(`${path}/${users.adminA.id}`, { role: 'viewer' })

    expect(response).toMatchObject(lastAdmin)
    await adminA.patch(`${path}/${users.operatorA.id}`, { is_active: true })
    expect(await adminA.patch(`${path}/${users.adminA.id}`, { role: 'viewer' })).toMatchObject({ status: 200 })
  })

  test('can change a name', async ({ adminA, users }) => {
    const response = await adminA.patch(`${path}/${users.adminA.id}`, {
      display_name: 'Ada',
      role: 'admin',
      is_active: true,
    })

    expect(response).toMatchObject({ status: 200, body: { display_name: 'Ada', role: 'admin', is_active: true } })
  })

  test('stays when two admins demote each other at once', async ({ adminA, anonymous, users }) => {
    await adminA.patch(`${path}/${users.operatorA.id}`, { role: 'admin' })
    const ada = bearer(await tokenOf(users.adminA))
    const olivia = bearer(await tokenOf({ ...users.operatorA, role: 'admin' }))
    const demoting = { role: 'viewer' }
    // Both are let in before either changes anything: their tokens were verified already.
    const before = [await anonymous.get(path, ada), await anonymous.get(path, olivia)]

    const responses = await Promise.all([
      anonymous.patch(`${path}/${users.operatorA.id}`, demoting, ada),
      anonymous.patch(`${path}/${users.adminA.id}`, demoting, olivia),
    ])

    expect(before).toMatchObject([{ status: 200 }, { status: 200 }])
    expect(responses).toMatchObject([{ status: 200, body: { role: 'viewer' } }, lastAdmin])
    expect(await anonymous.get(`${path}/${users.adminA.id}`, ada)).toMatchObject({ body: { role: 'admin' } })
  })
})
