import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { emptyDatabase, everything } from '../own-database'
import { type Served, seed, startServer, tenantry } from './program'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

const keyOf = (first: number) => Buffer.from(Array.from({ length: 32 }, (_, at) => first + at)).toString('base64')
const [K1, K2] = [keyOf(1), keyOf(2)]
const canary = 'canary-secret-4c1e'
const preload = join(import.meta.dir, 'with-test-plugins.ts')
const config = { url: 'http://courier.example', token: canary }

const ask = async ({ url }: Served, token: string, method: string, path: string, body?: object) => {
  const response = await fetch(`${url}/api/v1/plugins/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: await response.json() }
}

/** What a server answers whether it has our secrets: with a config that cannot be opened, a plugin is not configured. */
const stateOf = async (served: Served, token: string) => {
  const { body } = await ask(served, token, 'GET', 'test_courier')
  return { enabled: body.enabled, configured: body.configured }
}
const working = { enabled: true, configured: true }

/** A database in which one secret is stored under K1. */
async function withSecret() {
  const database = await emptyDatabase()
  const { token } = await seed(database.url)
  await using served = await startServer({ DATABASE_URL: database.url, ENCRYPTION_KEY: K1 }, { preload })
  const { status } = await ask(served, token, 'POST', 'test_courier/enable', { config })
  if (status !== 200) throw new Error(`The plugin could not be enabled: ${status}`)
  return { ...database, token }
}

async function pluginsIn(url: string) {
  await using connection = connect(url)
  const { tenant_plugins } = await everything(connection)
  return tenant_plugins
}

const serve = (url: string, keys: Record<string, string>) => startServer({ DATABASE_URL: url, ...keys }, { preload })
const failedStart = (url: string, keys: Record<string, string>) =>
  tenantry(['serve'], { DATABASE_URL: url, JWT_SECRET: 'kR7v2XwQ9mZp4TnB8sLd3FhJ6cYg1AeU', PORT: '0', ...keys })

describe('A change of ENCRYPTION_KEY', () => {
  test('goes by way of both keys and a rotation, and the old key is of no use afterwards', async () => {
    await using database = await withSecret()
    const { url, token } = database

    const states: unknown[] = []
    {
      await using both = await serve(url, { ENCRYPTION_KEY: K2, ENCRYPTION_KEY_PREVIOUS: K1 })
      states.push(await stateOf(both, token))
    }
    const rotated = await tenantry(['keys', 'rotate'], {
      DATABASE_URL: url,
      ENCRYPTION_KEY: K2,
      ENCRYPTION_KEY_PREVIOUS: K1,
    })
    {
      await using onlyNew = await serve(url, { ENCRYPTION_KEY: K2 })
      states.push(await stateOf(onlyNew, token))
    }
    const old = await failedStart(url, { ENCRYPTION_KEY: K1 })

    expect(states).toEqual([working, working])
    expect(rotated).toEqual({
      code: 0,
      out: 'Sealed the secrets of 1 plugin anew; nothing needs another key any longer.\n',
      err: '',
    })
    expect(old).toMatchObject({ code: 1, err: expect.stringMatching(refusal) })
  })

  test('stops a server that has only the new key, in one line that says what to do', async () => {
    await using database = await withSecret()

    const wrong = await failedStart(database.url, { ENCRYPTION_KEY: K2 })
    const none = await failedStart(database.url, {})

    expect(wrong).toEqual({ code: 1, out: '', err: expect.stringMatching(refusal) })
    expect(none).toEqual({ code: 1, out: '', err: expect.stringMatching(refusal) })
    await using right = await serve(database.url, { ENCRYPTION_KEY: K1 })
    expect(await stateOf(right, database.token)).toEqual(working)
  })

  test('may be done beside a running server, and twice', async () => {
    await using database = await withSecret()
    const keys = { ENCRYPTION_KEY: K2, ENCRYPTION_KEY_PREVIOUS: K1 }
    await using served = await serve(database.url, keys)
    const rotate = () => tenantry(['keys', 'rotate'], { DATABASE_URL: database.url, ...keys })

    const ran = [await rotate(), await rotate()]

    expect(ran.map(({ code, out }) => [code, out.split(';')[0]])).toEqual([
      [0, 'Sealed the secrets of 1 plugin anew'],
      [0, 'Sealed the secrets of 0 plugins anew'],
    ])
    expect(await stateOf(served, database.token)).toEqual(working)
  })

  test('without the old key leaves everything as it is, and says so', async () => {
    await using database = await withSecret()
    const before = await pluginsIn(database.url)

    const { code, err } = await tenantry(['keys', 'rotate'], { DATABASE_URL: database.url, ENCRYPTION_KEY: K2 })

    expect([code, err]).toEqual([
      1,
      'tenantry: Sealed the secrets of 0 plugins anew, and could not open those of 1; set ENCRYPTION_KEY_PREVIOUS to the key that sealed them\n',
    ])
    expect(await pluginsIn(database.url)).toEqual(before)
  })
})

describe('A server without ENCRYPTION_KEY', () => {
  test('in production runs, keeps no secrets, and keeps what is none', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    await using served = await serve(database.url, {})

    const refused = await ask(served, token, 'PUT', 'test_courier/config', config)
    const taken = await ask(served, token, 'POST', 'test_greeter/enable', { config: { greeting: 'Hello' } })

    expect(refused).toMatchObject({
      status: 409,
      body: {
        code: 'conflict',
        detail: 'This server has no ENCRYPTION_KEY, so it cannot keep secrets; ask its operator to set one.',
      },
    })
    expect(taken).toMatchObject({ status: 200, body: working })
    expect(JSON.stringify(await pluginsIn(database.url))).not.toContain(canary)
  })

  test('in development makes one, keeps it beside the database for its owner alone, and finds it again', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    const env = { DATABASE_URL: database.url, TENANTRY_ENV: 'development' }
    const options = { preload, cwd: database.folder }
    const stored: unknown[] = []
    {
      await using first = await startServer(env, options)
      stored.push((await ask(first, token, 'POST', 'test_courier/enable', { config })).status)
    }

    await using second = await startServer(env, options)

    const file = join(database.folder, dialect === 'sqlite' ? '.encryption-key' : 'data/.encryption-key')
    expect(stored).toEqual([200])
    expect(await stateOf(second, token)).toEqual(working)
    expect([statSync(file).mode & 0o777, Buffer.from(readFileSync(file, 'utf8'), 'base64').length]).toEqual([0o600, 32])
    expect(JSON.stringify(await pluginsIn(database.url))).not.toContain(canary)
  })
})

const refusal =
  /^tenantry: The database has secrets sealed with a key that is not here \([0-9a-f]{16}\); set ENCRYPTION_KEY_PREVIOUS to the key that was in ENCRYPTION_KEY before, or put that one back\n$/
