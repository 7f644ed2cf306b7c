import { describe, expect, test } from 'bun:test'
import { tenant_plugins } from '../../../src/database/tables'
import { JobBell } from '../../../src/jobs/job'
import { recordFailure } from '../../../src/plugins/failures'
import { requireKeys, rotateKeys } from '../../../src/plugins/keys'
import { pluginStore } from '../../../src/plugins/store'
import { buildSealer } from '../../../src/sealing'
import { createTenant } from '../../../src/tenants/store'
import { createUser } from '../../../src/users/store'
import { ownDatabase, rowsOf } from '../../own-database'
import { courier, testPlugins } from '../../plugins'

const clock = { now: () => new Date('2026-03-02T09:00:00.000Z') }
const keyOf = (byte: number) => Buffer.alloc(32, byte).toString('base64')
const before = buildSealer({ current: keyOf(1), previous: undefined })
const during = buildSealer({ current: keyOf(2), previous: keyOf(1) })
const after = buildSealer({ current: keyOf(2), previous: undefined })

/** A tenant on a database with real commits, and on Postgres with many connections. */
async function world(sealer = before) {
  const own = await ownDatabase({ unbound: true })
  const reporter = { info() {}, warn() {}, unexpected() {} }
  const deps = { database: own.database, clock, sealer, plugins: testPlugins, jobBell: new JobBell(), reporter }
  const tenant_id = await createTenant(deps, { slug: 'acme', name: 'Acme' })
  const user = await createUser(deps, tenant_id, { external_id: 'ada', email: 'ada@acme.example', role: 'admin' })
  const principal = { tenant_id, user_id: user.id, role: 'admin' } as const
  const store = (sealer = before) => pluginStore({ ...deps, sealer }, principal)
  return { own, deps, tenant_id, store, [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() }
}

/** Many rows with secrets; on which plugin they are does not matter here. */
async function fill({ deps, ...acme }: Awaited<ReturnType<typeof world>>, rows: number, tenant_id = acme.tenant_id) {
  const now = clock.now()
  const values = Array.from({ length: rows }, (_, n) => {
    const name = `plugin_${String(n).padStart(4, '0')}`
    const sealed_secrets = before.seal(`{"token":"token-${n}"}`, [tenant_id, name])
    return {
      tenant_id,
      name,
      config: {},
      sealed_secrets,
      key_id: before.keyId ?? null,
      created_at: now,
      updated_at: now,
    }
  })
  await deps.database.insert(tenant_plugins).values(values)
}

const opened = async ({ deps }: Awaited<ReturnType<typeof world>>, sealer: typeof before) =>
  (await deps.database.select().from(tenant_plugins))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ tenant_id, name, sealed_secrets }) => sealer.open(sealed_secrets ?? '', [tenant_id, name]))

describe('Changes of one plugin at the same time', () => {
  test('lose nothing, also where there was no row before', async () => {
    await using acme = await world()
    const fields = Array.from({ length: 8 }, (_, n) => `field-${n}`)

    await Promise.all(
      fields.map((field) =>
        acme.store().mergeConfig('test_courier', { url: 'http://x', options: { [field]: 1 }, signing_key: 'key' }),
      ),
    )

    const config = await acme.store().config('test_courier')
    const audited = await rowsOf(acme.own, 'select action from audit_log')
    expect(Object.keys(config.options as object).sort()).toEqual(fields)
    expect(audited).toHaveLength(8)
  })

  test('are done whole or not at all', async () => {
    await using acme = await world()
    await rowsOf(acme.own, 'drop table audit_log')

    const outcome = await acme
      .store()
      .enable('test_courier', { config: { url: 'http://x' } })
      .then(
        () => 'enabled',
        () => 'failed',
      )

    expect(outcome).toBe('failed')
    expect(await rowsOf(acme.own, 'select * from tenant_plugins')).toEqual([])
  })
})

describe('Failures at the same time', () => {
  test('are all counted', async () => {
    await using acme = await world()
    await acme.store().enable('test_greeter', {})

    await Promise.all(Array.from({ length: 10 }, () => recordFailure(acme.deps, acme.tenant_id, 'test_greeter', 'No')))

    expect(await acme.store().get('test_greeter')).toMatchObject({ last_failure: { count: 10, message: 'No' } })
  })

  test('are told in 500 characters, of which none is half of one', async () => {
    await using acme = await world()
    await acme.store().enable('test_greeter', {})

    await recordFailure(acme.deps, acme.tenant_id, 'test_greeter', `${'x'.repeat(499)}\u{1f600}`)

    expect((await acme.store().get('test_greeter')).last_failure?.message).toBe(`${'x'.repeat(499)}\ufffd`)
  })

  test('are told without a secret, also where a library has written it as JSON', async () => {
    await using acme = await world()
    const secret = 'ca"na\\ry'
    await acme.store().enable('test_courier', { config: { url: 'https://courier.example', signing_key: secret } })

    await recordFailure(acme.deps, acme.tenant_id, 'test_courier', `No ${secret}, no ${JSON.stringify(secret)}`)

    expect((await acme.store().get('test_courier')).last_failure?.message).toBe('No ********, no "********"')
  })

  test('of what has no row are of no consequence', async () => {
    await using acme = await world()

    await recordFailure(acme.deps, acme.tenant_id, 'test_greeter', 'No')

    expect(await rowsOf(acme.own, 'select * from tenant_plugins')).toEqual([])
  })
})

describe('A rotation of keys', () => {
  test('reaches every row, in however many transactions, and changes nothing else', async () => {
    await using acme = await world()
    await fill(acme, 120)
    const plain = await opened(acme, before)
    const rest = 'select tenant_id, name, is_enabled, config, created_at, updated_at from tenant_plugins order by name'
    const others = await rowsOf(acme.own, rest)

    const [first, second] = [await rotateKeys(acme.deps.database, during), await rotateKeys(acme.deps.database, during)]

    expect([first, second]).toEqual([
      { sealed: 120, unopened: 0 },
      { sealed: 0, unopened: 0 },
    ])
    expect(await opened(acme, after)).toEqual(plain)
    expect(await rowsOf(acme.own, rest)).toEqual(others)
    await requireKeys(acme.deps.database, after)
    await expect(requireKeys(acme.deps.database, before)).rejects.toThrow(`a key that is not here (${after.keyId})`)
  })

  test('seals for each tenant what is its own, where plugins of several have the same names', async () => {
    await using acme = await world()
    const other = await createTenant(acme.deps, { slug: 'globex', name: 'Globex' })
    await fill(acme, 70)
    await fill(acme, 70, other)

    const counted = await rotateKeys(acme.deps.database, during)

    expect(counted).toEqual({ sealed: 140, unopened: 0 })
    expect(await opened(acme, after)).toHaveLength(140)
  })

  test('comes to an end where a later tenant has the plugin whose name comes first', async () => {
    await using acme = await world()
    const other = await createTenant(acme.deps, { slug: 'globex', name: 'Globex' })
    await fill(acme, 2)
    await rowsOf(acme.own, "delete from tenant_plugins where name = 'plugin_0000'")
    await fill(acme, 1, other)

    expect(await rotateKeys(acme.deps.database, during)).toEqual({ sealed: 2, unopened: 0 })
  })

  test('leaves what it cannot open, does the rest, and counts both', async () => {
    await using acme = await world()
    await fill(acme, 60)
    await rowsOf(
      acme.own,
      "update tenant_plugins set sealed_secrets = 'nothing' where name in ('plugin_0000', 'plugin_0055')",
    )

    const counted = await rotateKeys(acme.deps.database, during)

    expect(counted).toEqual({ sealed: 58, unopened: 2 })
    await expect(requireKeys(acme.deps.database, after)).rejects.toThrow(`a key that is not here (${before.keyId})`)
  })

  test('loses no change that a server makes meanwhile', async () => {
    await using acme = await world()
    await fill(acme, 120)
    await acme.store().enable(courier.name, { config: { url: 'http://x', token: 'first-token', signing_key: 'key' } })

    const [counts] = await Promise.all([
      Promise.all([rotateKeys(acme.deps.database, during), rotateKeys(acme.deps.database, during)]),
      acme.store(during).mergeConfig(courier.name, { token: 'second-token' }),
      acme.store(during).mergeConfig(courier.name, { colour: 'red' }),
    ])

    const secrets = await opened(acme, after)
    expect(counts.map(({ unopened }) => unopened)).toEqual([0, 0])
    expect(secrets.map((text) => JSON.parse(text))).toContainEqual({ token: 'second-token', signing_key: 'key' })
    expect(await acme.store(after).config(courier.name)).toMatchObject({ colour: 'red' })
    expect(secrets).toHaveLength(121)
  })

  test('does not seal anew what a server has replaced since it was read', async () => {
    await using acme = await world()
    await fill(acme, 40)
    await acme.store().enable(courier.name, { config: { url: 'http://x', token: 'first-token', signing_key: 'key' } })
    const sealing = Promise.withResolvers<void>()
    // Said here, outside of the rotation's transaction, of which it would be a part otherwise.
    const changing = sealing.promise.then(() => acme.store(during).mergeConfig(courier.name, { token: 'second-token' }))
    const seal: typeof during.seal = (text, owner) => {
      sealing.resolve()
      return during.seal(text, owner)
    }

    await rotateKeys(acme.deps.database, { ...during, seal })
    await changing

    const secrets = await opened(acme, after)
    expect(secrets.map((text) => JSON.parse(text))).toContainEqual({ token: 'second-token', signing_key: 'key' })
    expect(secrets).toHaveLength(41)
  })
})
