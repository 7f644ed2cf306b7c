import { and, eq, getTableName, is, Table } from 'drizzle-orm'
import * as tables from '../../src/database/tables'
import { enabledPlugins } from '../../src/plugins/enabled'
import { type Plugin, secret } from '../../src/plugins/plugin'
import { lineReporter } from '../../src/reporter'
import { shape } from '../../src/schema'
import { buildSealer } from '../../src/sealing'
import { database, deps, describe, expect, test } from '../kit'
import { speaking } from '../speaking'
import { aPlugin, peopleWith } from '../with-plugins'

const plugins = '/api/v1/plugins'
const path = `${plugins}/test_courier/config`
const url = 'https://courier.example/in'
const token = 'canary-token-7d2f'
const signing_key = 'canary-key-91ab'
const mask = '********'
const again = (field: string) => ({
  in: 'body',
  path: `/${field}`,
  message: 'has to be sent again, because url changes',
})

/** What a plugin of the tenant would get. */
async function seenByPlugin(tenant_id: string) {
  await database
    .update(tables.tenant_plugins)
    .set({ is_enabled: true })
    .where(eq(tables.tenant_plugins.tenant_id, tenant_id))
  return (await enabledPlugins(deps, tenant_id)).map(({ config }) => config)
}

describe('A secret of a plugin', () => {
  test('is answered masked, and handed to the plugin as it is', async ({ adminA, tenantA }) => {
    const answers = [
      await adminA.put(path, { url, token, signing_key }),
      await adminA.get(path),
      await adminA.patch(path, { colour: 'red' }),
    ]

    expect(answers.map(({ status, body }) => [status, body.token, body.signing_key])).toEqual([
      [200, mask, mask],
      [200, mask, mask],
      [200, mask, mask],
    ])
    expect(await seenByPlugin(tenantA.id)).toEqual([{ url, token, signing_key, colour: 'red' }])
  })

  test('is kept where the mask comes back', async ({ adminA, tenantA }) => {
    await adminA.put(path, { url, token, signing_key })

    const put = await adminA.put(path, { url, colour: 'red', token: mask, signing_key: mask })
    const patched = await adminA.patch(path, { token: mask, colour: 'green' })

    expect([put.status, patched.status]).toEqual([200, 200])
    expect(patched.body).toEqual({ url, colour: 'green', token: mask, signing_key: mask })
    expect(await seenByPlugin(tenantA.id)).toEqual([{ url, token, signing_key, colour: 'green' }])
  })

  test('is replaced where another comes, removed by null, and by a config without it', async ({ adminA, tenantA }) => {
    await adminA.put(path, { url, token, password: 'first', signing_key })
    await adminA.patch(path, { token: null, password: 'second' })
    const merged = await seenByPlugin(tenantA.id)

    const { body } = await adminA.put(path, { url, signing_key: mask })

    expect(merged).toEqual([{ url, password: 'second', signing_key }])
    expect(body).toEqual({ url, signing_key: mask })
    expect(await seenByPlugin(tenantA.id)).toEqual([{ url, signing_key }])
  })

  test('cannot be the mask where none is stored', async ({ adminA }) => {
    const answers = [
      await adminA.put(path, { url, token: mask }),
      await adminA.patch(path, { url, token: mask }),
      await adminA.post(`${plugins}/test_courier/enable`, { config: { url, token: mask } }),
    ]

    const message = 'is not stored; send the secret itself'
    expect(answers.map(({ status, body }) => [status, body.errors])).toEqual([
      [422, [{ in: 'body', path: '/token', message }]],
      [422, [{ in: 'body', path: '/token', message }]],
      [422, [{ in: 'body', path: '/config/token', message }]],
    ])
    expect(await adminA.put(path, { url, token })).toMatchObject({ status: 200 })
  })

  test('is not what another tenant has stored', async ({ adminA, adminB }) => {
    await adminA.put(path, { url, token })

    const response = await adminB.put(path, { url, token: mask })

    expect(response).toMatchObject({ status: 422, body: { errors: [{ path: '/token' }] } })
    expect(await adminA.put(path, { url, token: mask })).toMatchObject({ status: 200 })
  })

  test('does not open in the row of another tenant or another plugin', async ({ adminA, adminB, tenantA, tenantB }) => {
    await adminA.put(path, { url, token })
    await adminB.put(path, { url, token: 'token-of-b' })
    const row = (tenant_id: string) =>
      and(eq(tables.tenant_plugins.tenant_id, tenant_id), eq(tables.tenant_plugins.name, 'test_courier'))
    const [ofA] = await database.select().from(tables.tenant_plugins).where(row(tenantA.id))
    await database
      .update(tables.tenant_plugins)
      .set({ sealed_secrets: ofA?.sealed_secrets ?? null })
      .where(row(tenantB.id))

    const answers = [
      await adminB.get(path),
      await adminB.patch(path, { colour: 'red' }),
      await adminB.post(`${plugins}/test_courier/enable`),
      await adminB.put(path, { url, token: mask }),
    ]

    expect(answers.map(({ status }) => status)).toEqual([409, 409, 409, 422])
    expect(answers[0]?.body.detail).toBe(
      'The stored secrets of this plugin do not open any longer; send its config again (PUT).',
    )
    expect((await adminB.get(`${plugins}/test_courier`)).body).toMatchObject({ configured: false })
    expect(await adminB.put(path, { url, token: 'token-of-b' })).toMatchObject({ status: 200 })
    expect(await adminB.get(path)).toMatchObject({ status: 200, body: { token: mask } })
    expect(await adminA.get(path)).toMatchObject({ status: 200, body: { token: mask } })
  })

  test('cannot be stored without a key, and what is no secret can', async ({ users, adminA }) => {
    const keyless = speaking(users.adminA, { sealer: buildSealer({ current: undefined, previous: undefined }) })

    const response = await keyless.put(path, { url, token })

    expect(response).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect((await adminA.get(path)).body).toEqual({})
    expect(await keyless.put(`${plugins}/test_greeter/config`, { greeting: 'Hello' })).toMatchObject({ status: 200 })
  })
})

describe('An address to which secrets are sent', () => {
  test('does not change while a secret is kept', async ({ adminA, tenantA }) => {
    await adminA.put(path, { url, token, signing_key })
    const evil = 'https://evil.example'

    const answers = [
      await adminA.patch(path, { url: evil }),
      await adminA.patch(path, { url: evil, token: mask, signing_key: mask }),
      await adminA.put(path, { url: evil, token: mask, signing_key: mask }),
      await adminA.put(path, { url: evil, token: 'another-token', signing_key: mask }),
      await adminA.patch(path, { url: `${url}/` }),
    ]

    expect(answers.map(({ status, body }) => [status, body.errors])).toEqual([
      [422, [again('token'), again('signing_key')]],
      [422, [again('token'), again('signing_key')]],
      [422, [again('token'), again('signing_key')]],
      [422, [again('signing_key')]],
      [422, [again('token'), again('signing_key')]],
    ])
    expect(await seenByPlugin(tenantA.id)).toEqual([{ url, token, signing_key }])
  })

  test('changes with secrets that are sent, or none', async ({ adminA, tenantA }) => {
    await adminA.put(path, { url, token, signing_key })

    const sent = await adminA.patch(path, {
      url: 'https://second.example',
      token: 'second-token',
      signing_key: 'second',
    })
    const removed = await adminA.patch(path, { url: 'https://third.example', token: null, signing_key: 'third' })
    const without = await adminA.put(path, { url: 'https://fourth.example' })

    expect([sent.status, removed.status, without.status]).toEqual([200, 200, 200])
    expect(await seenByPlugin(tenantA.id)).toEqual([
      { url: 'https://fourth.example', ...{ signing_key: without.body.signing_key } },
    ])
  })

  test('is enabled elsewhere only with its secrets', async ({ adminA }) => {
    await adminA.put(path, { url, token, signing_key })

    const refused = await adminA.post(`${plugins}/test_courier/enable`, { config: { url: 'http://x', token: mask } })

    expect(refused).toMatchObject({ status: 422, body: { errors: [{ path: '/config/token' }] } })
    expect(await adminA.post(`${plugins}/test_courier/enable`)).toMatchObject({ status: 200 })
  })
})

describe('A secret that the plugin makes', () => {
  test('is shown once, in the answer to the request that caused it', async ({ adminA, tenantA }) => {
    const first = await adminA.put(path, { url })
    const later = [await adminA.get(path), await adminA.patch(path, { colour: 'red' })]

    expect(first.body.signing_key).toMatch(/^made-[0-9a-f-]{36}$/)
    expect(later.map(({ body }) => body.signing_key)).toEqual([mask, mask])
    expect(await seenByPlugin(tenantA.id)).toMatchObject([{ signing_key: first.body.signing_key }])
  })

  test('is another one for whoever asks by null, and by a config without it', async ({ adminA }) => {
    const answers = [
      await adminA.put(path, { url }),
      await adminA.patch(path, { signing_key: null }),
      await adminA.put(path, { url }),
    ]

    const keys = answers.map(({ body }) => body.signing_key)
    expect(keys).toEqual([
      expect.stringMatching(/^made-/),
      expect.stringMatching(/^made-/),
      expect.stringMatching(/^made-/),
    ])
    expect(new Set(keys).size).toBe(3)
  })

  test('is not made where one is sent or kept', async ({ adminA }) => {
    const sent = await adminA.put(path, { url, signing_key })
    const kept = await adminA.put(path, { url, signing_key: mask })

    expect([sent.body.signing_key, kept.body.signing_key]).toEqual([mask, mask])
  })
})

describe('A planted secret', () => {
  test('is in no column of any table, in no answer and in no line of the log', async ({ users, viewerA, tenantA }) => {
    const log: string[] = []
    const write = (line: string) => void log.push(line)
    const reporter = lineReporter('debug', 'json', write)
    const admin = speaking(users.adminA, { reporter })
    const answers = [
      await admin.post(`${plugins}/test_courier/enable`, { config: { url, token, password: token } }),
      await admin.put(path, { url, token, signing_key }),
      await admin.put(path, { url: 'ftp', token, signing_key }),
      await admin.put(path, { url, token, signing_key: [token] }),
      await admin.put(path, { url: 'http://x', token: mask, signing_key: token }),
      await admin.patch(path, { token, password: signing_key }),
      await admin.patch(path, { token, nope: signing_key }),
      await admin.get(path),
      await viewerA.get(plugins),
      await viewerA.get(`${plugins}/test_courier`),
      await admin.post(`${plugins}/test_courier/disable`),
      await admin.get('/api/v1/admin/audit'),
      await admin.post(`${plugins}/test_courier/enable`),
    ]
    reporter.info('The log is read.')

    const stored = await everyRow()

    expect(answers.map(({ status }) => status)).toEqual([
      200, 200, 422, 422, 422, 200, 422, 200, 200, 200, 200, 200, 200,
    ])
    expect(JSON.stringify(answers)).not.toContain('canary')
    expect(log.join('')).toContain('The log is read.')
    expect(log.join('')).not.toContain('canary')
    expect(JSON.stringify(stored)).not.toContain('canary')
    expect(stored.tenant_plugins).toMatchObject([{ config: { url }, key_id: deps.sealer.keyId }])
    expect(await seenByPlugin(tenantA.id)).toEqual([{ url, token, password: signing_key, signing_key }])
  })
})

describe('A secret that a plugin throws', () => {
  const said = (token: unknown) => new Error(`No answer from ${token}`, { cause: new Error(`${token} is wrong`) })
  const [config, deadlineMs] = [shape({ token: secret() }), 1000]
  const throwing: [string, Partial<Plugin>][] = [
    ...(['open', 'closed'] as const).map((onFailure): [string, Partial<Plugin>] => [
      `in a hook that fails ${onFailure}`,
      { chat: { admit: { deadlineMs, onFailure, run: (_, { config }) => Promise.reject(said(config.token)) } } },
    ]),
    [
      'in an event',
      { events: { types: () => ['plugin.enabled'], run: (_, { config }) => Promise.reject(said(config.token)) } },
    ],
  ]

  test.each(throwing)('%s is masked in the log and in the state of the plugin', async (_, parts, world) => {
    const log: string[] = []
    const reporter = lineReporter('debug', 'json', (line) => void log.push(line))
    const { adminA } = peopleWith(world, [aPlugin({ config, ...parts } as object)], { reporter })
    await adminA.post(`${plugins}/example/enable`, { config: { token } })
    world.model.says('Hello')

    await adminA.post('/api/v1/chat', { message: 'Hello?' })
    await world.settle()

    const { body } = await adminA.get(`${plugins}/example`)
    expect(body.last_failure.message).toContain(mask)
    expect(log.join('')).toContain(`No answer from ${mask}; because: Error: ${mask} is wrong`)
    expect(log.join('')).not.toContain(token)
    world.model.forget()
  })
})

/** All that is stored, by table. */
async function everyRow(): Promise<Record<string, object[]>> {
  const all: Record<string, object[]> = {}
  for (const table of Object.values(tables)) {
    if (is(table, Table)) all[getTableName(table)] = await database.select().from(table as typeof tables.tenants)
  }
  return all
}
