import { describe, expect, test } from 'bun:test'
import { dialect } from '../../../src/database/dialect'
import { asTenant } from '../../../src/database/reach'
import { jobs, tenants } from '../../../src/database/tables'
import { enqueue } from '../../../src/jobs/queue'
import { Lifetime } from '../../../src/lifetime'
import { createTenant } from '../../../src/tenants/store'
import { overAll, ownDatabase, rowsOf, seeingAll } from '../../own-database'
import { all, note, noting, working } from './working'

const at = new Date('2026-03-02T09:00:00.000Z')
const clock = { now: () => at }
const row = {
  kind: 'note',
  payload: { text: 'whose?' },
  state: 'queued' as const,
  due_at: at,
  created_at: at,
  updated_at: at,
}

// Only a database without its foreign keys has such rows, as after a restore that went wrong.
const withoutForeignKeys =
  dialect === 'sqlite' ? 'pragma foreign_keys = off' : 'alter table jobs drop constraint jobs_tenant_id_tenants_id_fk'
/** Postgres has a type for ids, so there a tenant can be unknown, but not empty. */
const lost = ['01890000-0000-7000-8000-000000000000', ...(dialect === 'sqlite' ? ['', 'all'] : [])]

describe('A job that lost its tenant', () => {
  test(
    'is dead and never runs, for nobody and not for all',
    overAll(async () => {
      await using own = await ownDatabase()
      const { database } = own
      const tenant_id = await createTenant({ database, clock }, { slug: 'acme', name: 'Acme' })
      await rowsOf(own, withoutForeignKeys)
      const rows = [...lost, tenant_id].map((tenant_id) => ({ ...row, tenant_id, id: Bun.randomUUIDv7() }))
      await database.insert(jobs).values(rows)
      const ran: string[] = []
      const reporter = { info() {}, warn() {}, unexpected() {} }
      const kind = noting((_, context) => void ran.push(context.tenant_id))
      const { worker } = working([kind], {}, { database, clock, reporter, lifetime: new Lifetime(() => {}) })

      await worker.runDue()

      const dead = { state: 'dead', last_error: 'It has no tenant: a job never runs for all.' }
      expect(ran).toEqual([tenant_id])
      expect(await all(database)).toMatchObject([...lost.map(() => dead), { state: 'done', last_error: null }])
    }),
  )
})

// SQLite has no row level security.
describe.if(dialect === 'postgres')('A job whose query forgets to ask for its tenant', () => {
  test('sees the rows of its tenant, and no others', async () => {
    await using own = await ownDatabase()
    const { database } = own
    const [one, other] = [
      await createTenant({ database, clock }, { slug: 'one', name: 'One' }),
      await createTenant({ database, clock }, { slug: 'other', name: 'Other' }),
    ]
    const seen: unknown[] = []
    const kind = noting(async () => void seen.push(await database.select({ id: tenants.id }).from(tenants)))
    const reporter = { info() {}, warn() {}, unexpected() {} }
    const changes = { database, clock, reporter, lifetime: new Lifetime(() => {}) }
    const { worker, jobDeps } = working([kind], {}, changes)
    await asTenant(one, () => enqueue(jobDeps, one, note('all of them')))

    await worker.runDue()

    expect(seen).toEqual([[{ id: one }]])
    const all = await seeingAll(() => database.select({ id: tenants.id }).from(tenants))
    expect(all.map(({ id }) => id)).toContain(other)
  })
})
