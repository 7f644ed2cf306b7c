import { Type } from '@sinclair/typebox'
import { and, eq } from 'drizzle-orm'
import { tenant_plugins } from '../../src/database/tables'
import { type Enabled, enabledPlugins } from '../../src/plugins/enabled'
import { plugin, secret } from '../../src/plugins/plugin'
import { shape } from '../../src/schema'
import { buildSealer } from '../../src/sealing'
import { expectQueries } from '../../src/testing'
import { database, deps, describe, expect, startsAt, test } from '../kit'

const Config = shape({ word: Type.Optional(Type.String({ maxLength: 10 })), token: Type.Optional(secret()) })
const named = (name: string) => plugin({ name, version: '1.0.0', description: 'Does nothing.', config: Config })
const [first, second, third] = [named('zebra'), named('ant'), named('mole')]

/** Nothing is remembered between tests: what is kept is kept for a registry. */
const world = () => ({ ...deps, plugins: [first, second, third] })

type Row = Partial<typeof tenant_plugins.$inferInsert>
const put = (tenant_id: string, name: string, row: Row = {}) =>
  database
    .insert(tenant_plugins)
    .values({ tenant_id, name, is_enabled: true, config: {}, created_at: startsAt, updated_at: startsAt, ...row })
const change = (tenant_id: string, name: string, row: Row) =>
  database
    .update(tenant_plugins)
    .set(row)
    .where(and(eq(tenant_plugins.tenant_id, tenant_id), eq(tenant_plugins.name, name)))
const failuresOf = (tenant_id: string) =>
  database
    .select({
      name: tenant_plugins.name,
      count: tenant_plugins.failure_count,
      at: tenant_plugins.last_failed_at,
      error: tenant_plugins.last_error,
    })
    .from(tenant_plugins)
    .where(eq(tenant_plugins.tenant_id, tenant_id))
const sealed = (tenant_id: string, name: string, secrets: object, sealer = deps.sealer) => ({
  sealed_secrets: sealer.seal(JSON.stringify(secrets), [tenant_id, name]),
  key_id: sealer.keyId ?? null,
})

describe('The enabled plugins of a tenant', () => {
  test('are those that are on, in the order of the registry, with their secrets open', async ({ tenantA, tenantB }) => {
    await put(tenantA.id, 'mole', { config: { word: 'dig' }, ...sealed(tenantA.id, 'mole', { token: 'canary' }) })
    await put(tenantA.id, 'ant', { is_enabled: false })
    await put(tenantA.id, 'zebra', { config: null })
    await put(tenantA.id, 'retired')
    await put(tenantB.id, 'ant')

    const enabled = await enabledPlugins(world(), tenantA.id)

    expect(enabled).toEqual([
      { plugin: first, config: {} },
      { plugin: third, config: { word: 'dig', token: 'canary' } },
    ])
  })

  test('cost one query, and no more when there are many', async ({ tenantA, ledger }) => {
    await put(tenantA.id, 'mole', sealed(tenantA.id, 'mole', { token: 'canary' }))
    await put(tenantA.id, 'zebra')

    const enabled = await expectQueries(1, () => enabledPlugins(world(), tenantA.id))

    expect(enabled).toHaveLength(2)
    expect(ledger.own.at(-1)?.text).toContain('tenant_plugins')
  })

  test('have the same config object until it changes, and then another at once', async ({ tenantA }) => {
    const deps = world()
    await put(tenantA.id, 'zebra', { config: { word: 'one' } })
    const [before] = await enabledPlugins(deps, tenantA.id)
    const [unchanged] = await enabledPlugins(deps, tenantA.id)

    await change(tenantA.id, 'zebra', { config: { word: 'two' } })

    const [after] = await enabledPlugins(deps, tenantA.id)
    expect(unchanged).toBe(before as Enabled)
    expect([before?.config, after?.config]).toEqual([{ word: 'one' }, { word: 'two' }])
  })

  test('have another config when only a secret changed', async ({ tenantA }) => {
    const deps = world()
    await put(tenantA.id, 'zebra', sealed(tenantA.id, 'zebra', { token: 'old' }))
    const [before] = await enabledPlugins(deps, tenantA.id)

    await change(tenantA.id, 'zebra', sealed(tenantA.id, 'zebra', { token: 'new' }))

    const [after] = await enabledPlugins(deps, tenantA.id)
    expect([before?.config, after?.config]).toEqual([{ token: 'old' }, { token: 'new' }])
  })

  test('do not fill the memory: what was not read for long is forgotten', async ({ tenantA }) => {
    const deps = { ...world(), plugins: [plugin({ ...first, config: shape({ text: Type.String() }) })] }
    await put(tenantA.id, 'zebra')
    const readWith = async (n: number) => {
      await change(tenantA.id, 'zebra', { config: { text: `${n} ${'x'.repeat(60_000)}` } })
      const [enabled] = await enabledPlugins(deps, tenantA.id)
      return enabled
    }
    const oldest = await readWith(0)
    for (let n = 1; n < 80; n++) await readWith(n)
    const latest = await readWith(80)

    const again = { latest: await readWith(80), oldest: await readWith(0) }

    expect(again.latest).toBe(latest as Enabled)
    expect(again.oldest).toEqual(oldest as Enabled)
    expect(again.oldest).not.toBe(oldest as Enabled)
  })

  test('never share a config with another tenant, nor with another plugin', async ({ tenantA, tenantB }) => {
    const deps = world()
    const same = { config: { word: 'same' } }
    await put(tenantA.id, 'zebra', same)
    await put(tenantA.id, 'ant', same)
    await put(tenantB.id, 'zebra', same)

    const [ofA, ofB] = [await enabledPlugins(deps, tenantA.id), await enabledPlugins(deps, tenantB.id)]

    const configs = [...ofA, ...ofB].map(({ config }) => config)
    expect(configs).toEqual([{ word: 'same' }, { word: 'same' }, { word: 'same' }])
    expect(new Set(configs).size).toBe(3)
  })

  test('do not include one whose config no longer fits, which is said once, and harms no other', async ({
    tenantA,
  }) => {
    const warnings: unknown[] = []
    const deps = {
      ...world(),
      reporter: { ...world().reporter, warn: (...said: unknown[]) => void warnings.push(said) },
    }
    await put(tenantA.id, 'zebra', { config: { word: 'far too long for this schema' } })
    await put(tenantA.id, 'ant')

    const enabled = [await enabledPlugins(deps, tenantA.id), await enabledPlugins(deps, tenantA.id)]

    const because = 'The stored config is not valid any longer: /word must have a length less or equal to 10.'
    expect(enabled).toEqual([[{ plugin: second, config: {} }], [{ plugin: second, config: {} }]])
    expect(warnings).toEqual([
      ['A plugin is enabled but left out.', { tenant_id: tenantA.id, plugin: 'zebra', because }],
    ])
    expect(await failuresOf(tenantA.id)).toEqual(
      expect.arrayContaining([
        { name: 'zebra', count: 1, at: startsAt, error: because },
        { name: 'ant', count: 0, at: null, error: null },
      ]),
    )
  })

  test('do not include one whose secrets do not open, and do once they do', async ({ tenantA }) => {
    const deps = world()
    const other = buildSealer({ current: Buffer.alloc(32, 7).toString('base64'), previous: undefined })
    await put(tenantA.id, 'zebra', sealed(tenantA.id, 'zebra', { token: 'canary' }, other))
    await put(tenantA.id, 'ant', sealed(tenantA.id, 'mole', { token: 'canary' }))

    const enabled = await enabledPlugins(deps, tenantA.id)

    const errors = Object.fromEntries((await failuresOf(tenantA.id)).map(({ name, error }) => [name, error]))
    expect(enabled).toEqual([])
    expect(errors).toEqual({
      zebra: `The stored secrets do not open: This was sealed with the key ${other.keyId}, which is not here; set ENCRYPTION_KEY_PREVIOUS to that key.`,
      ant: 'The stored secrets do not open: This was changed since it was sealed, or sealed for another owner.',
    })
    expect(await enabledPlugins({ ...deps, sealer: other }, tenantA.id)).toMatchObject([
      { config: { token: 'canary' } },
    ])
  })
})
