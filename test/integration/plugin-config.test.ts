import { Type } from '@sinclair/typebox'
import { plugin } from '../../src/plugins/plugin'
import { shape } from '../../src/schema'
import { describe, expect, test } from '../kit'
import { speaking } from '../speaking'

const path = '/api/v1/plugins/test_courier/config'
const config = { url: 'https://courier.example/in', colour: 'red' }
/** Of `signing_key`, which the plugin makes where none is sent. */
const made = { signing_key: expect.stringMatching(/^made-/) }
const masked = { signing_key: '********' }

describe('GET /api/v1/plugins/:name/config', () => {
  test('is empty where none is stored, and what was stored afterwards', async ({ adminA }) => {
    const before = await adminA.get(path)
    await adminA.put(path, config)
    const after = await adminA.get(path)

    expect(before).toMatchObject({ status: 200, body: {} })
    expect(Object.keys(before.body)).toEqual([])
    expect(after.status).toBe(200)
    expect(after.body).toEqual({ ...config, ...masked })
  })
})

describe('PUT /api/v1/plugins/:name/config', () => {
  test('replaces all of it', async ({ adminA }) => {
    await adminA.put(path, { ...config, options: { retries: 3 } })

    const response = await adminA.put(path, { url: 'https://other.example' })

    expect(response.status).toBe(200)
    expect(response.body).toEqual({ url: 'https://other.example', ...made })
    expect((await adminA.get(path)).body).toEqual({ url: 'https://other.example', ...masked })
  })

  test('leaves a plugin off that was off, and on that was on', async ({ adminA }) => {
    const state = '/api/v1/plugins/test_courier'
    await adminA.put(path, config)
    const { body: off } = await adminA.get(state)
    await adminA.post(`${state}/enable`)

    await adminA.put(path, config)

    const { body: on } = await adminA.get(state)
    expect([off.enabled, off.configured, on.enabled, on.configured]).toEqual([false, true, true, true])
  })

  test('may be repeated', async ({ adminA }) => {
    const whole = { ...config, token: 'token-1234', signing_key: 'key' }
    const answers = [await adminA.put(path, whole), await adminA.put(path, whole)]

    expect(answers[0]).toMatchObject({ status: 200, body: { ...config, token: '********', ...masked } })
    expect(answers[1]?.body).toEqual(answers[0]?.body)
  })

  const wrong: [string, object, { path: string; message: string }][] = [
    ['a missing field', {}, { path: '/url', message: 'is required' }],
    ['an unknown field', { ...config, nope: 'canary' }, { path: '/nope', message: 'is not known here' }],
    ['a field of another type', { ...config, url: ['canary'] }, { path: '/url', message: 'must be string' }],
    [
      'a word that is none of the choices',
      { ...config, colour: 'canary' },
      { path: '/colour', message: 'must be one of red, green' },
    ],
    [
      'a short secret',
      { ...config, token: 'canary' },
      { path: '/token', message: 'must have a length greater or equal to 8' },
    ],
    ['null for a field', { ...config, colour: null }, { path: '/colour', message: 'must be one of red, green' }],
    ['what only the plugin can tell', { url: 'canary' }, { path: '/url', message: 'must begin with http' }],
    [
      'constructor',
      { ...config, constructor: { prototype: {} } },
      { path: '/constructor', message: 'is not known here' },
    ],
    ['toString', { ...config, toString: 'canary' }, { path: '/toString', message: 'is not known here' }],
    [
      'more than 64 KB',
      { ...config, options: { a: 'canary'.repeat(11_000) } },
      { path: '', message: 'must have at most 65536 bytes as JSON' },
    ],
  ]
  test.each(wrong)('refuses %s, says where, and keeps what was stored', async (_, body, error, { adminA }) => {
    const { body: before } = await adminA.put(path, { ...config, signing_key: 'key' })

    const refused = await adminA.put(path, body)

    expect(refused).toMatchObject({ status: 422, body: { code: 'invalid_request' } })
    expect(refused.body.errors).toEqual([{ in: 'body', ...error }])
    expect(JSON.stringify(refused.body)).not.toContain('canary')
    expect((await adminA.get(path)).body).toEqual(before)
  })

  test('says all that is wrong at once', async ({ adminA }) => {
    const { body } = await adminA.put(path, { colour: 1, token: 1, nope: 1 })

    expect(body.errors.map((error: { path: string }) => error.path).sort()).toEqual([
      '/colour',
      '/nope',
      '/token',
      '/url',
    ])
  })

  test('takes one of nearly 64 KB', async ({ adminA }) => {
    const large = { ...config, options: { a: 'x'.repeat(65_000) } }

    const response = await adminA.put(path, large)

    expect(response).toMatchObject({ status: 200, body: large })
    expect((await adminA.get(path)).body).toMatchObject(large)
  })

  test.each([['[]'], ['null'], ['"text"'], ['7'], ['true']])('refuses %s', async (body, { adminA }) => {
    const response = await adminA.put(path, body)

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'body', path: '' }] } })
    expect(await adminA.put(path, config)).toMatchObject({ status: 200 })
  })

  test('keeps what it is given as it is given', async ({ adminA }) => {
    const options = {
      '\u001b[31m': '\r\nSet-Cookie: a=b',
      "'; drop table tenant_plugins; --": 1.5,
      constructor: [null, {}],
    }

    const response = await adminA.put(path, { ...config, options })

    expect(response.body.options).toEqual(options)
    expect((await adminA.get(path)).body.options).toEqual(options)
  })

  test('says no more than that it cannot check a config on which the plugin fails', async ({ users, adminA }) => {
    const failing = plugin({
      name: 'test_courier',
      version: '1.0.0',
      description: 'Fails.',
      config: shape({ word: Type.String() }),
      check({ word }) {
        throw new Error(`I do not like ${word}`)
      },
    })
    const admin = speaking(users.adminA, { plugins: [failing] })

    const response = await admin.put(path, { word: 'canary' })

    expect(response.status).toBe(422)
    expect(response.body.errors).toEqual([{ in: 'body', path: '', message: 'cannot be checked by the plugin' }])
    expect(await adminA.put(path, config)).toMatchObject({ status: 200 })
  })
})

describe('PATCH /api/v1/plugins/:name/config', () => {
  const merges: [string, object, object, object][] = [
    ['adds a field', {}, { colour: 'green' }, { colour: 'green' }],
    ['changes a field', { colour: 'red' }, { colour: 'green' }, { colour: 'green' }],
    ['removes a field with null', { colour: 'red' }, { colour: null }, {}],
    ['removes what is not there', {}, { colour: null }, {}],
    ['changes nothing with nothing', { colour: 'red' }, {}, { colour: 'red' }],
    [
      'merges objects',
      { options: { a: 1, b: { c: 2 } } },
      { options: { b: { d: 3 } } },
      { options: { a: 1, b: { c: 2, d: 3 } } },
    ],
    [
      'removes inside of objects',
      { options: { a: 1, b: { c: 2, d: 3 } } },
      { options: { a: null, b: { c: null } } },
      { options: { b: { d: 3 } } },
    ],
    [
      'replaces lists whole',
      { options: { a: [1, { b: 2 }] } },
      { options: { a: [{ c: null }] } },
      { options: { a: [{ c: null }] } },
    ],
    [
      'puts an object in place of a value',
      { options: { a: 1 } },
      { options: { a: { b: 2, c: null } } },
      { options: { a: { b: 2 } } },
    ],
    [
      'puts a value in place of an object',
      { options: { a: { b: 1 } } },
      { options: { a: 'b' } },
      { options: { a: 'b' } },
    ],
    [
      'knows no prototypes',
      { options: { a: 1 } },
      { options: { constructor: { prototype: { b: 2 } }, toString: null } },
      { options: { a: 1, constructor: { prototype: { b: 2 } } } },
    ],
  ]
  test.each(merges)('%s', async (_, stored, patch, expected, { adminA }) => {
    const base = { url: 'http://x', signing_key: 'key' }
    await adminA.put(path, { ...base, ...stored })

    const response = await adminA.patch(path, patch)

    expect(response.status).toBe(200)
    expect(response.body).toEqual({ url: 'http://x', ...expected, ...masked })
    expect((await adminA.get(path)).body).toEqual(response.body)
    expect(Object.hasOwn(Object.prototype, 'b')).toBe(false)
  })

  test('begins with nothing where nothing is stored', async ({ adminA }) => {
    const incomplete = await adminA.patch(path, { colour: 'red' })
    const complete = await adminA.patch(path, config)

    expect(incomplete).toMatchObject({
      status: 422,
      body: { errors: [{ in: 'body', path: '/url', message: 'is required' }] },
    })
    expect(complete.status).toBe(200)
    expect(complete.body).toEqual({ ...config, ...made })
  })

  test('refuses what would leave the config wrong, and keeps what was stored', async ({ adminA }) => {
    const { body: before } = await adminA.put(path, { ...config, signing_key: 'key' })

    const answers = [
      await adminA.patch(path, { url: null }),
      await adminA.patch(path, { colour: 'canary' }),
      await adminA.patch(path, { options: { a: 'x'.repeat(65_536) } }),
    ]

    expect(answers.map(({ status, body }) => [status, body.errors])).toEqual([
      [422, [{ in: 'body', path: '/url', message: 'is required' }]],
      [422, [{ in: 'body', path: '/colour', message: 'must be one of red, green' }]],
      [422, [{ in: 'body', path: '', message: 'must have at most 65536 bytes as JSON' }]],
    ])
    expect((await adminA.get(path)).body).toEqual(before)
  })

  test('loses no field when many are changed at once', async ({ adminA }) => {
    await adminA.put(path, config)
    const fields = Array.from({ length: 10 }, (_, n) => `field-${n}`)

    const answers = await Promise.all(fields.map((field) => adminA.patch(path, { options: { [field]: true } })))

    expect(answers.map(({ status }) => status)).toEqual(fields.map(() => 200))
    expect(Object.keys((await adminA.get(path)).body.options).sort()).toEqual(fields)
  })
})

describe('DELETE /api/v1/plugins/:name/config', () => {
  test('removes it and switches the plugin off', async ({ adminA }) => {
    await adminA.post('/api/v1/plugins/test_courier/enable', { config: { ...config, token: 'token-1234' } })

    const response = await adminA.delete(path)

    expect(response).toMatchObject({ status: 204, body: undefined })
    expect((await adminA.get(path)).body).toEqual({})
    expect((await adminA.get('/api/v1/plugins/test_courier')).body).toMatchObject({ enabled: false, configured: false })
  })

  test('may be repeated, also where nothing is stored', async ({ adminA }) => {
    const answers = [await adminA.delete(path), await adminA.delete(path)]

    expect(answers.map(({ status }) => status)).toEqual([204, 204])
  })

  test('switches off what needs no config', async ({ adminA }) => {
    await adminA.post('/api/v1/plugins/test_greeter/enable')

    const response = await adminA.delete('/api/v1/plugins/test_greeter/config')

    expect(response).toMatchObject({ status: 204 })
    expect((await adminA.get('/api/v1/plugins/test_greeter')).body).toMatchObject({ enabled: false, configured: true })
  })
})
