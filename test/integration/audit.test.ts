import { describe, expect, startsAt, test } from '../kit'

const path = '/api/v1/admin/audit'
const greeter = '/api/v1/plugins/test_greeter'
const courier = '/api/v1/plugins/test_courier'
type Entry = { action: string; subject: string; detail: unknown }
const words = (entries: Entry[]) => entries.map(({ action, subject, detail }) => [action, subject, detail])

describe('GET /api/v1/admin/audit', () => {
  test('is empty where nothing was changed', async ({ adminA }) => {
    const response = await adminA.get(path)

    expect(response).toMatchObject({ status: 200, body: [], headers: { 'x-total-count': '0' } })
  })

  test('says who did what, to what, and when', async ({ adminA, users, clock }) => {
    clock.advance({ minutes: 5 })
    await adminA.post(`${greeter}/enable`)

    const { body } = await adminA.get(path)

    expect(body).toEqual([
      {
        id: expect.any(String),
        user_id: users.adminA.id,
        action: 'plugin.enabled',
        subject: 'test_greeter',
        detail: {},
        created_at: new Date(startsAt.getTime() + 5 * 60_000).toISOString(),
      },
    ])
  })

  test('names the fields of a config that changed, newest first, and never a value', async ({ adminA }) => {
    await adminA.put(`${courier}/config`, { url: 'http://canary', token: 'canary-token', signing_key: 'canary' })
    await adminA.patch(`${courier}/config`, { colour: 'red', token: null, options: { canary: 1 } })
    await adminA.post(`${courier}/enable`, { config: { url: 'http://canary', signing_key: '********' } })
    await adminA.post(`${courier}/disable`)
    await adminA.delete(`${courier}/config`)

    const { body } = await adminA.get(path)

    expect(words(body)).toEqual([
      ['plugin.config_removed', 'test_courier', {}],
      ['plugin.disabled', 'test_courier', {}],
      ['plugin.enabled', 'test_courier', {}],
      ['plugin.configured', 'test_courier', { fields: ['colour', 'options'] }],
      ['plugin.configured', 'test_courier', { fields: ['colour', 'options', 'token'] }],
      ['plugin.configured', 'test_courier', { fields: ['signing_key', 'token', 'url'] }],
    ])
    expect(JSON.stringify(body)).not.toContain('canary')
  })

  test('says nothing of what changed nothing, or was refused', async ({ adminA, operatorA }) => {
    await adminA.post(`${greeter}/enable`, { config: { greeting: 'Hello' } })
    const { body: before } = await adminA.get(path)

    const answers = [
      await adminA.post(`${greeter}/enable`, { config: { greeting: 'Hello' } }),
      await adminA.put(`${greeter}/config`, { greeting: 'Hello' }),
      await adminA.patch(`${greeter}/config`, {}),
      await adminA.post(`${courier}/disable`),
      await adminA.delete(`${courier}/config`),
      await adminA.patch('/api/v1/admin/tenant/settings', { name: 'Acme' }),
      await adminA.put(`${greeter}/config`, { greeting: 7 }),
      await operatorA.post(`${greeter}/disable`),
    ]

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 204, 200, 422, 403])
    expect((await adminA.get(path)).body).toEqual(before)
    expect(words(before)).toEqual([
      ['plugin.enabled', 'test_greeter', {}],
      ['plugin.configured', 'test_greeter', { fields: ['greeting'] }],
    ])
  })

  test('has the changes of users and of the tenant too', async ({ adminA, users, tenantA }) => {
    const kim = { external_id: 'kim', email: 'kim@acme.example', role: 'viewer' }
    const { body: created } = await adminA.post('/api/v1/admin/users', kim)
    await adminA.patch(`/api/v1/admin/users/${created.id}`, { role: 'admin', display_name: 'Kim' })
    await adminA.delete(`/api/v1/admin/users/${users.viewerA.id}`)
    await adminA.patch('/api/v1/admin/tenant/settings', { name: 'Acme', retention_days: 90 })

    const { body } = await adminA.get(path)

    expect(words(body)).toEqual([
      ['tenant.changed', tenantA.id, { fields: ['retention_days'] }],
      ['user.deactivated', users.viewerA.id, { fields: ['is_active'] }],
      ['user.changed', created.id, { fields: ['display_name', 'role'] }],
      ['user.created', created.id, {}],
    ])
  })

  test("is the tenant's own", async ({ adminA, adminB }) => {
    await adminB.post(`${greeter}/enable`)

    const [ofA, ofB] = [await adminA.get(path), await adminB.get(path)]

    expect(ofA).toMatchObject({ body: [], headers: { 'x-total-count': '0' } })
    expect(words(ofB.body)).toEqual([['plugin.enabled', 'test_greeter', {}]])
  })

  test('goes from page to page by the cursor in its Link header', async ({ adminA }) => {
    await adminA.post(`${greeter}/enable`)
    await adminA.post(`${greeter}/disable`)
    await adminA.post(`${greeter}/enable`)

    const first = await adminA.get(`${path}?limit=2`)
    const [, next = ''] = /^<(.+)>; rel="next"$/.exec(first.headers.link ?? '') ?? []
    const second = await adminA.get(next)

    expect(first).toMatchObject({ status: 200, headers: { 'x-total-count': '3' } })
    expect(first.body.map(({ action }: Entry) => action)).toEqual(['plugin.enabled', 'plugin.disabled'])
    expect(second.body.map(({ action }: Entry) => action)).toEqual(['plugin.enabled'])
    expect(second.headers).not.toHaveProperty('link')
  })

  test.each([
    ['limit=0', '/limit'],
    ['cursor=abc', '/cursor'],
    ['user_id=any', '/user_id'],
    ['tenant_id=any', '/tenant_id'],
  ])('refuses ?%s', async (query, field, { adminA }) => {
    const response = await adminA.get(`${path}?${query}`)

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'query', path: field }] } })
    expect(await adminA.get(`${path}?limit=100`)).toMatchObject({ status: 200 })
  })

  test('is for admins', async ({ adminA, operatorA, viewerA }) => {
    const answers = [await operatorA.get(path), await viewerA.get(path), await adminA.get(path)]

    expect(answers.map(({ status }) => status)).toEqual([403, 403, 200])
  })
})
