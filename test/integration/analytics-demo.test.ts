import { afterAll, describe, expect, test } from 'bun:test'
import { analyticsStore } from '../../src/analytics/store'
import { tenantsToVerify, verifyRollups } from '../../src/analytics/verify'
import { fillDemo } from '../../src/demo'
import { overAll, ownDatabase } from '../own-database'

const own = await ownDatabase()
afterAll(() => own[Symbol.asyncDispose]())
const { database } = own
const clock = { now: () => new Date('2026-03-02T12:00:00.000Z') }

describe('the demo', () => {
  test(
    'fills a month of analytics, which agree with their records',
    overAll(async () => {
      await fillDemo(database, clock)

      const all = await tenantsToVerify(database)
      const [acme, globex] = all.map(({ id }) => analyticsStore({ database, clock }, { tenant_id: id }))
      const daily = await acme?.daily({})
      const summary = await acme?.summary({})

      expect(all.map(({ slug }) => slug)).toEqual(['acme', 'globex'])
      expect(daily).toHaveLength(30)
      expect(daily?.filter(({ total_requests, total_tokens }) => total_requests === 0 || total_tokens === 0)).toEqual(
        [],
      )
      expect(summary).toMatchObject({ unique_users: 2 })
      expect(summary?.error_rate).toBeGreaterThan(0)
      expect(summary?.p95_ms).toBeGreaterThan(summary?.p50_ms ?? 0)
      expect((await acme?.models({}))?.map(({ model }) => model)).toEqual(['echo', 'echo-large'])
      expect(await globex?.summary({})).toMatchObject({ unique_users: 1 })
      for (const { id } of all) expect(await verifyRollups(database, id)).toEqual([])
    }),
  )
})
