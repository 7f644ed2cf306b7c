import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { Recorder, recorderLimits } from '../../src/analytics/recorder'
import { analyticsStore } from '../../src/analytics/store'
import { verifyRollups } from '../../src/analytics/verify'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { usage_records } from '../../src/database/tables'
import { newId, systemClock } from '../../src/ids'
import { createTenant } from '../../src/tenants/store'
import { createUser } from '../../src/users/store'
import { overAll, ownDatabase } from '../own-database'

// Who loses a race on Postgres waits a little longer each time.
setDefaultTimeout(60_000)

const own = await ownDatabase()
afterAll(() => own[Symbol.asyncDispose]())
const { database } = own
const deps = { database, clock: systemClock }

const quiet = { info() {}, warn() {}, unexpected() {} }

/** As another process has it. On SQLite one process has one connection: a second one would block the thread they share. */
const another = () => (dialect === 'postgres' ? connect(own.url) : { database, [Symbol.asyncDispose]: async () => {} })

async function tenantWith(slug: string) {
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
