import { Type } from '@sinclair/typebox'
import { buildApp } from '../../src/app'
import { recordFailure } from '../../src/plugins/failures'
import { plugin } from '../../src/plugins/plugin'
import { plugins } from '../../src/plugins/registry'
import { shape } from '../../src/schema'
import type { Client } from '../../src/testing'
import { deps, describe, expect, startsAt, test, tokenOf } from '../kit'
import { courier, greeter } from '../plugins'
import { speaking } from '../speaking'

const path = '/api/v1/plugins'
const config = { url: 'https://courier.example/in', colour: 'red' }
const untouched = { enabled: false, configured: false }
const stateOf = async (client: Client, name: string) => {
  const { body } = await client.get(`${path}/${name}`)
  return { enabled: body.enabled, configured: body.configured }
}

describe('GET /api/v1/plugins', () => {
  test('lists every plugin, in the order of the registry, to whoever may read', async ({ viewerA }) => {
    const response = await viewerA.get(path)

    expect(response.status).toBe(200)
    expect(response.body.map(({ name }: { name: string }) => name)).toEqual([
      ...plugins.map(({ name }) => name),
      'test_courier',
      'test_greeter',
    ])
  })

  test('says of each what it is, whether it is on, and what its config looks like', async ({ viewerA }) => {
    const { body } = await viewerA.get(path)

    expect(body.at(-1)).toEqual({
      name: 'test_greeter',
      version: '0.1.0',
      description: 'Greets.',
      enabled: false,
      configured: true,
      config_schema: {
        type: 'object',
        additionalProperties: false,
        properties: { greeting: { type: 'string', maxLength: 100 } },
      },
    })
    expect(body.at(-2)).toMatchObject({
      name: 'test_courier',
      ...untouched,
      config_schema: {
        type: 'object',
        required: ['url'],
        properties: {
          url: { type: 'string', 'x-address': true },
          token: { type: 'string', minLength: 8, writeOnly: true, 'x-secret': true },
        },
      },
    })
    expect(await viewerA.get(`${path}/test_courier`)).toMatchObject({ status: 200, body: body.at(-2) })
  })

  test('never shows a config', async ({ adminA, viewerA }) => {
    await adminA.post(`${path}/test_courier/enable`, { config: { ...config, token: 'canary-token' } })

    const { body } = await viewerA.get(path)

    expect(body.at(-2)).toMatchObject({ enabled: true, configured: true })
    expect(JSON.stringify(body)).not.toMatch(/courier\.example|canary/)
  })

  test('shows what failed since the last change, without its secrets', async ({ adminA, viewerA, tenantA }) => {
    await adminA.post(`${path}/test_courier/enable`, { config: { ...config, token: 'canary/token' } })
    await recordFailure(deps, tenantA.id, 'test_courier', 'once')
    const message = `The host said:\r\n\u001b[31mcanary/token or canary%2Ftoken${'x'.repeat(600)}`
    await recordFailure(deps, tenantA.id, 'test_courier', message)

    const failed = await viewerA.get(`${path}/test_courier`)
    await adminA.post(`${path}/test_courier/enable`)
    const enabledAgain = await viewerA.get(`${path}/test_courier`)

    expect(failed.body.last_failure).toEqual({
      at: startsAt.toISOString(),
      message: `The host said: [31m******** or ********${'x'.repeat(600)}`.slice(0, 500),
      count: 2,
    })
    expect(enabledAgain.body).not.toHaveProperty('last_failure')
  })
})

describe('POST /api/v1/plugins/:name/enable', () => {
  test('switches on a plugin that needs no config, with or without a body', async ({ adminA }) => {
    const without = await adminA.post(`${path}/test_greeter/enable`)
    await adminA.post(`${path}/test_greeter/disable`)
    const empty = await adminA.post(`${path}/test_greeter/enable`, {})

    expect(without).toMatchObject({ status: 200, body: { name: 'test_greeter', enabled: true, configured: true } })
    expect(empty).toMatchObject({ status: 200, body: without.body })
    expect((await adminA.get(`${path}/test_greeter`)).body).toEqual(without.body)
  })

  test.each<[string, Record<string, string>]>([
    ['without a type', {}],
    ['of JSON', { 'content-type': 'application/json' }],
  ])('takes an empty body over a socket, %s', async (_, headers, { adminA, serve, users }) => {
    const { url } = await serve()
    const authorization = `Bearer ${await tokenOf(users.adminA)}`

    const response = await fetch(`${url}${path}/test_greeter/enable`, {
      method: 'POST',
      headers: { ...headers, authorization },
      body: '',
    })

    expect(response.status).toBe(200)
    expect(await stateOf(adminA, 'test_greeter')).toEqual({ enabled: true, configured: true })
  })

  test('stores the config that comes with it, in place of the one before', async ({ adminA }) => {
    await adminA.put(`${path}/test_greeter/config`, { greeting: 'Hello' })

    const response = await adminA.post(`${path}/test_greeter/enable`, { config: {} })

    expect(response).toMatchObject({ status: 200, body: { enabled: true } })
    expect((await adminA.get(`${path}/test_greeter/config`)).body).toEqual({})
  })

  test('refuses what has no config and needs one, and takes it once it has', async ({ adminA }) => {
    const refused = await adminA.post(`${path}/test_courier/enable`)
    await adminA.put(`${path}/test_courier/config`, config)
    const taken = await adminA.post(`${path}/test_courier/enable`)

    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', errors: [{ in: 'body', path: '/config/url', message: 'is required' }] },
    })
    expect(taken).toMatchObject({ status: 200, body: { enabled: true, configured: true } })
  })

  test('refuses a wrong config, names the field, and changes nothing', async ({ adminA }) => {
    const refused = await adminA.post(`${path}/test_courier/enable`, { config: { ...config, colour: 'canary' } })

    expect(refused).toMatchObject({
      status: 422,
      body: { errors: [{ in: 'body', path: '/config/colour', message: 'must be one of red, green' }] },
    })
    expect(JSON.stringify(refused.body)).not.toContain('canary')
    expect(await stateOf(adminA, 'test_courier')).toEqual(untouched)
    expect(await adminA.post(`${path}/test_courier/enable`, { config })).toMatchObject({ status: 200 })
  })

  test('may be repeated', async ({ adminA }) => {
    const answers = [
      await adminA.post(`${path}/test_greeter/enable`, { config: { greeting: 'Hello' } }),
      await adminA.post(`${path}/test_greeter/enable`, { config: { greeting: 'Hello' } }),
    ]

    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers[1]?.body).toEqual(answers[0]?.body)
  })

  test('shows a secret that the plugin made, this once', async ({ adminA }) => {
    const first = await adminA.post(`${path}/test_courier/enable`, { config })
    const again = await adminA.post(`${path}/test_courier/enable`)

    expect(first.body.generated).toEqual({ signing_key: expect.stringMatching(/^made-/) })
    expect(again.body).not.toHaveProperty('generated')
  })
})

describe('POST /api/v1/plugins/:name/disable', () => {
  test('switches off and keeps the config', async ({ adminA }) => {
    await adminA.post(`${path}/test_courier/enable`, { config })

    const response = await adminA.post(`${path}/test_courier/disable`)

    expect(response).toMatchObject({ status: 200, body: { name: 'test_courier', enabled: false, configured: true } })
    expect((await adminA.get(`${path}/test_courier/config`)).body).toMatchObject(config)
    expect(await adminA.post(`${path}/test_courier/enable`)).toMatchObject({ status: 200, body: { enabled: true } })
  })

  test('may be repeated, also where nothing was on', async ({ adminA }) => {
    const answers = [
      await adminA.post(`${path}/test_courier/disable`),
      await adminA.post(`${path}/test_courier/disable`),
    ]

    expect(answers).toMatchObject([
      { status: 200, body: untouched },
      { status: 200, body: untouched },
    ])
  })
})

describe('The plugins of a tenant', () => {
  test('are its own', async ({ adminA, adminB }) => {
    await adminA.post(`${path}/test_courier/enable`, { config })
    await adminA.post(`${path}/test_greeter/enable`, { config: { greeting: 'Hello A' } })
    const before = (await adminB.get(path)).body

    await adminB.post(`${path}/test_greeter/enable`, { config: { greeting: 'Hello B' } })
    await adminB.delete(`${path}/test_courier/config`)
    await adminB.post(`${path}/test_courier/disable`)

    expect(before).toMatchObject(before.map(() => ({ enabled: false })))
    expect(await stateOf(adminA, 'test_courier')).toEqual({ enabled: true, configured: true })
    expect((await adminA.get(`${path}/test_greeter/config`)).body).toEqual({ greeting: 'Hello A' })
    expect((await adminB.get(`${path}/test_greeter/config`)).body).toEqual({ greeting: 'Hello B' })
  })

  test('are the same for an app that is started later, with plugins in another order', async ({ adminA, users }) => {
    await adminA.post(`${path}/test_courier/enable`, { config })
    const later = speaking(users.adminA, { plugins: [greeter, courier] })

    const { body } = await later.get(path)

    expect(body.map(({ name, enabled }: { name: string; enabled: boolean }) => [name, enabled])).toEqual([
      ['test_greeter', false],
      ['test_courier', true],
    ])
    expect((await later.get(`${path}/test_courier/config`)).body).toMatchObject(config)
  })

  test('stay configured when a plugin is gone, and are there when it is back', async ({ adminA, users }) => {
    await adminA.post(`${path}/test_courier/enable`, { config })
    const without = speaking(users.adminA, { plugins: [greeter] })

    const [gone, listed] = [await without.get(`${path}/test_courier`), await without.get(path)]

    expect(gone).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(listed.body).toMatchObject([{ name: 'test_greeter' }])
    expect(await stateOf(adminA, 'test_courier')).toEqual({ enabled: true, configured: true })
  })

  test('are not configured any longer where a newer schema says otherwise', async ({ adminA, users }) => {
    await adminA.post(`${path}/test_greeter/enable`, { config: { greeting: 'Hello' } })
    const stricter = plugin({ ...greeter, config: shape({ greeting: Type.Integer() }) })
    const newer = speaking(users.adminA, { plugins: [stricter] })

    const [state, again] = [await stateOf(newer, 'test_greeter'), await newer.post(`${path}/test_greeter/enable`)]

    expect(state).toEqual({ enabled: true, configured: false })
    expect(again).toMatchObject({ status: 422, body: { errors: [{ path: '/config/greeting' }] } })
    expect(await newer.put(`${path}/test_greeter/config`, { greeting: 7 })).toMatchObject({ status: 200 })
    expect(await stateOf(newer, 'test_greeter')).toEqual({ enabled: true, configured: true })
  })
})

describe('A registry with two plugins of one name', () => {
  test('stops the app from being built', () => {
    const building = () => buildApp({ ...deps, plugins: [greeter, courier, greeter] })

    expect(building).toThrow(new Error('There is more than one plugin "test_greeter".'))
    expect(() => buildApp({ ...deps, plugins: [greeter, courier] })).not.toThrow()
  })
})

describe('A plugin that is not in the registry', () => {
  const asked = (name: string) => (client: Client) => {
    const headers = { 'x-request-id': 'same' }
    const address = `${path}/${encodeURIComponent(name)}`
    return Promise.all([
      client.get(address, { headers }),
      client.post(`${address}/enable`, {}, { headers }),
      client.post(`${address}/disable`, undefined, { headers }),
      client.get(`${address}/config`, { headers }),
      client.put(`${address}/config`, {}, { headers }),
      client.patch(`${address}/config`, {}, { headers }),
      client.delete(`${address}/config`, { headers }),
    ])
  }
  const words = (answers: Awaited<ReturnType<ReturnType<typeof asked>>>) =>
    answers.map(({ status, body: { instance: _, ...problem } }) => ({ status, ...problem }))

  test.each([
    ['constructor'],
    ['__proto__'],
    ['toString'],
    ['TEST_GREETER'],
    ['test_greeter '],
    ['test_greeter\0'],
    ["' or '1'='1"],
    ['../test_greeter'],
    ['%'],
    ['ø'.repeat(500)],
  ])('is not found, in the same words whatever its name is: %j', async (name, { adminA }) => {
    const answers = await asked(name)(adminA)

    expect(words(answers)).toEqual(words(await asked('unknown')(adminA)))
    expect(words(answers)).toMatchObject(answers.map(() => ({ status: 404, detail: 'There is no such plugin.' })))
    expect((await asked('test_greeter')(adminA)).map(({ status }) => status)).toEqual([
      200, 200, 200, 200, 200, 200, 204,
    ])
  })

  test('is not found either where its name cannot be decoded', async ({ adminA }) => {
    const response = await adminA.get(`${path}/%ff`)

    expect(response).toMatchObject({ status: 404, body: { detail: 'There is no such plugin.' } })
  })
})

describe('/api/v1/plugins', () => {
  test('is changed by admins, and read by everybody', async ({ adminA, operatorA, viewerA }) => {
    const reads = (each: Client) => [each.get(path), each.get(`${path}/test_greeter`)]
    const changes = (each: Client) => [
      each.post(`${path}/test_greeter/enable`, {}),
      each.post(`${path}/test_greeter/disable`),
      each.get(`${path}/test_greeter/config`),
      each.put(`${path}/test_greeter/config`, {}),
      each.patch(`${path}/test_greeter/config`, {}),
      each.delete(`${path}/test_greeter/config`),
    ]

    const refused = await Promise.all([...changes(operatorA), ...changes(viewerA)])
    const allowed = await Promise.all([...reads(operatorA), ...reads(viewerA), ...changes(adminA)])

    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [403, 'forbidden']))
    expect(allowed.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200, 200, 200, 200, 204])
  })
})
