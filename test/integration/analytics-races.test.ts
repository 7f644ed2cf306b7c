import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { Recorder, recorderLimits } from '../../src/analytics/recorder'
import { storeRecords } from '../../src/analytics/rollup'
import { analyticsStore } from '../../src/analytics/store'
import { type Difference, repairRollups, verifyRollups } from '../../src/analytics/verify'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { usage_records } from '../../src/database/tables'
import { newId, systemClock } from '../../src/ids'
import { createTenant } from '../../src/tenants/store'
import { createUser } from '../../src/users/store'
import { overAll, ownDatabase, rowsOf } from '../own-database'

// Who loses a race on Postgres waits a little longer each time.
setDefaultTimeout(60_000)

const own = await ownDatabase()
afterAll(() => own[Symbol.asyncDispose]())
const { database } = own
const deps = { database, clock: systemClock }

const quiet = { info() {}, warn() {}, unexpected() {} }

/** As another process has it. On SQLite one process has one connection: a second one would block the thread they share. */
const another = () => (dialect === 'postgres' ? connect(own.url) : { database, [Symbol.asyncDispose]: async () => {} })

async function tenantWith(slug: string, into = database) {
  const deps = { database: into, clock: systemClock }
  const tenant_id = await createTenant(deps, { slug, name: slug })
  const user = { external_id: 'ada', email: 'ada@acme.example', role: 'admin' } as const
  const { id: user_id } = await createUser(deps, tenant_id, user)
  return { tenant_id, user_id }
}

describe('several processes that write at once', () => {
  test(
    'lose no request and count none twice',
    overAll(async () => {
      const caller = await tenantWith('requests')
      await using other = another()
      const recorders = [database, database, other.database, other.database].map(
        (each) => new Recorder(each, quiet, { ...recorderLimits, everyMs: 0, batch: 20 }),
      )

      await Promise.all(
        recorders.map(async (recorder, n) => {
          for (let round = 0; round < 4; round++) {
            for (let each = 0; each < 50; each++) {
              const at = new Date(Date.UTC(2026, 2, 1 + (each % 2), 12, 0, round, each))
              const route = `/api/v1/${(n + each) % 3}`
              recorder.record({
                request_id: 'request-1',
                caller,
                method: 'GET',
                route,
                status: each % 10 === 0 ? 500 : 200,
                duration_us: each * 100,
                at,
              })
            }
            await recorder.flush()
          }
        }),
      )
      // What lost every race is written when there is none.
      for (const recorder of recorders) await recorder.flush()

      const range = { start_date: '2026-03-01', end_date: '2026-03-02' }
      const summary = await analyticsStore(deps, caller).summary(range)
      expect(recorders.map(({ dropped }) => dropped)).toEqual([0, 0, 0, 0])
      expect(summary).toMatchObject({ total_requests: 800, error_count: 80, avg_response_time_ms: 2.45 })
      expect(await verifyRollups(database, caller.tenant_id)).toEqual([])
    }),
  )

  test(
    'lose no tokens, and replies to one user do not wait for each other',
    overAll(async () => {
      const caller = await tenantWith('tokens')
      await using other = another()
      const record = {
        conversation_id: newId(systemClock),
        message_id: newId(systemClock),
        model: 'm',
        is_estimated: true,
      }

      await Promise.all(
        Array.from({ length: 200 }, (_, n) => {
          const through = n % 2 === 0 ? database : other.database
          const usage = { ...caller, ...record, id: newId(systemClock), prompt_tokens: n, completion_tokens: 1 }
          const at = new Date('2026-03-01T12:00:00.000Z')
          return through.transaction(
            async () => void (await through.insert(usage_records).values({ ...usage, created_at: at })),
          )
        }),
      )

      const range = { start_date: '2026-03-01', end_date: '2026-03-01' }
      const [model] = await analyticsStore(deps, caller).models(range)
      expect(model).toMatchObject({
        total_replies: 200,
        prompt_tokens: 19_900,
        completion_tokens: 200,
        estimated_tokens: 20_100,
      })
      expect(await verifyRollups(database, caller.tenant_id)).toEqual([])
    }),
  )
})

describe('the check of the rollups', () => {
  const record = ({ tenant_id, user_id }: Awaited<ReturnType<typeof tenantWith>>) => ({
    ...{ tenant_id, user_id, id: newId(systemClock), created_at: systemClock.now() },
    ...{ method: 'GET', route: '/api/v1/me', status: 200, duration_us: 1000 },
  })

  test(
    'sees one state while others write',
    overAll(async () => {
      const caller = await tenantWith('checked')
      await using other = another()
      let [written, isOver] = [0, false]
      const writing = (async () => {
        for (; !isOver; written++) await storeRecords(other.database, caller.tenant_id, [record(caller)])
      })()
      const found: Difference[] = []

      for (let round = 0; round < 20; round++) found.push(...(await verifyRollups(database, caller.tenant_id)))

      isOver = true
      await writing
      expect(found).toEqual([])
      expect(written).toBeGreaterThan(0)
    }),
  )

  test(
    'puts everything right or nothing',
    overAll(async () => {
      await using broken = await ownDatabase()
      const { tenant_id, user_id } = await tenantWith('repaired', broken.database)
      await storeRecords(broken.database, tenant_id, [record({ tenant_id, user_id })])
      await rowsOf(broken, 'update tenant_days set request_count = 99')
      const kept = () => rowsOf(broken, 'select day, request_count from tenant_days')
      const before = await kept()
      await rowsOf(broken, 'alter table message_days rename to elsewhere')

      const refused = await repairRollups(broken.database, tenant_id).catch(() => 'refused')

      const after = await kept()
      await rowsOf(broken, 'alter table elsewhere rename to message_days')
      expect(refused).toBe('refused')
      expect(after).toEqual(before)
      await repairRollups(broken.database, tenant_id)
      expect(await verifyRollups(broken.database, tenant_id)).toEqual([])
    }),
  )
})
