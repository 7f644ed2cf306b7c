import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { matching } from '../../../src/conversations/search'
import { tenantTables } from '../../../src/database/catalogue'
import type { Connection } from '../../../src/database/database'
import { dialect } from '../../../src/database/dialect'
import { asTenant } from '../../../src/database/reach'
import { conversations } from '../../../src/database/tables'
import { failureCode } from '../../../src/errors'
import { eraseTenant } from '../../../src/operations/erase-tenant'
import { everything, ownDatabase, rowsOf, seeingAll } from '../../own-database'
import { idOf } from '../../rows-of-tenants'
import { fillTwoTenants, ofA, ofB, refusal, tenantRows } from './archives'

// Making a database takes as long as the machine is busy.
setDefaultTimeout(60_000)

/** A database with two tenants, and a folder for their files. */
async function withTwoTenants() {
  const connection = await ownDatabase()
  await fillTwoTenants(connection)
  const exportDir = mkdtempSync(join(tmpdir(), 'exports-'))
  return {
    ...connection,
    exportDir,
    [Symbol.asyncDispose]: async () => {
      rmSync(exportDir, { recursive: true, force: true })
      await connection[Symbol.asyncDispose]()
    },
  }
}

const erasing = { slug: 'slug-of-a', exportDir: undefined, vacuum: false }

describe('erasing a tenant', () => {
  test("leaves no row of it in any table, and every other tenant's rows as they were", async () => {
    await using own = await withTwoTenants()
    const before = await tenantRows(own)
    const others = await tenantRows(own, ofB)

    const report = await eraseTenant(own, erasing)

    const left = Object.entries(await everything(own)).filter(([, rows]) => rows.some(ofA))
    const counted = tenantTables.map(({ name }) => {
      const rows = (before[name]?.length ?? 0) - (others[name]?.length ?? 0)
      return `${name.padEnd(20)} ${rows} before, 0 after`
    })
    const sum = Object.values(others).flat().length + (dialect === 'sqlite' ? 2 : 0)
    expect(left).toEqual([])
    expect(await tenantRows(own)).toEqual(others)
    expect(report.split('\n')).toEqual([
      ...counted,
      ...(dialect === 'sqlite' ? ['conversation_search  2 before, 0 after'] : []),
      'EXPORT_DIR is not set here, so no files were looked for.',
      `The tenant slug-of-a (${idOf('a', 'tenant_id')}) is erased. The others (1) have the ${sum} rows that they had, counted by table and tenant.`,
    ])
  })

  test('removes the files of the tenant and of nobody else', async () => {
    await using own = await withTwoTenants()
    const folderOf = (tenant: 'a' | 'b') => join(own.exportDir, idOf(tenant, 'tenant_id'))
    for (const tenant of ['a', 'b'] as const) {
      mkdirSync(folderOf(tenant))
      writeFileSync(join(folderOf(tenant), 'usage.csv'), 'day\n')
    }

    const report = await eraseTenant(own, { ...erasing, exportDir: own.exportDir })

    expect(report).toContain('\nfiles                1 before, 0 after\n')
    expect(existsSync(folderOf('a'))).toBe(false)
    expect(readdirSync(folderOf('b'))).toEqual(['usage.csv'])
  })

  test('is undone where its files cannot be removed', async () => {
    await using own = await withTwoTenants()
    const file = join(own.exportDir, 'a-file')
    writeFileSync(file, '')
    const before = await everything(own)

    const refused = await refusal(eraseTenant(own, { ...erasing, exportDir: file }))

    expect(refused).toBe('The files of the tenant below EXPORT_DIR cannot be removed (ENOTDIR); nothing was erased')
    expect(await everything(own)).toEqual(before)
  })

  test('is undone where another tenant would lose a row', async () => {
    await using own = await withTwoTenants()
    for (const statement of meddling[dialect]) await rowsOf(own, statement)
    const before = await everything(own)

    const refused = await refusal(eraseTenant(own, erasing))

    expect(refused).toBe('The rows of job_schedules would not be those of the other tenants; nothing was erased')
    expect(await everything(own)).toEqual(before)
  })

  test('of a tenant that is not there changes nothing', async () => {
    await using own = await withTwoTenants()
    const before = await everything(own)

    const refused = await refusal(eraseTenant(own, { ...erasing, slug: 'nobody' }))

    expect(refused).toBe('There is no such tenant.')
    expect(await everything(own)).toEqual(before)
  })

  test('can rewrite the database afterwards, and leaves search and rows of the others right', async () => {
    await using own = await withTwoTenants()
    const others = await tenantRows(own, ofB)

    await eraseTenant(own, { ...erasing, vacuum: true })

    expect(await tenantRows(own)).toEqual(others)
    const principal = { tenant_id: idOf('b', 'tenant_id'), user_id: '', role: 'admin' as const }
    const found = await seeingAll(async () =>
      own.database
        .select({ id: conversations.id })
        .from(conversations)
        .where(await matching(own.database, principal, 'content')),
    )
    expect(found).toEqual([{ id: idOf('b', 'conversation_id') }])
  })
})

describe.if(dialect === 'postgres')('erasing a tenant that is written to', () => {
  test('has writers wait until it is gone, and then refuses them', async () => {
    await using own = await withTwoTenants()
    const write = (tenant: 'a' | 'b') =>
      asTenant(idOf(tenant, 'tenant_id'), () => own.database.insert(conversations).values(conversationOf(tenant))).then(
        () => 'written',
        (error: unknown) => failureCode(error),
      )
    for (const statement of pausing) await rowsOf(own, statement)
    const [paused, resume] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const holding = own.root.session.nest(async (inner) => {
      await inner.run({ text: 'select pg_advisory_xact_lock(62)', params: [], shape: 'arrays' })
      paused.resolve()
      await resume.promise
    })
    await paused.promise
    const erased = eraseTenant(own, erasing)
    while ((await waitingIn(own)) < 1) await Bun.sleep(1)

    let isOver = false
    const late = write('a').finally(() => {
      isOver = true
    })
    while (!isOver && (await waitingIn(own)) < 2) await Bun.sleep(1)
    const other = await write('b')
    resume.resolve()

    await holding
    expect([await late, other]).toEqual(['23503', 'written'])
    expect(await erased).toContain('The tenant slug-of-a ')
    expect(
      Object.values(await everything(own))
        .flat()
        .filter(ofA),
    ).toEqual([])
  })
})

const conversationOf = (tenant: 'a' | 'b') => {
  const now = new Date('2026-03-02T09:00:00.000Z')
  const [tenant_id, user_id] = [idOf(tenant, 'tenant_id'), idOf(tenant, 'user_id')]
  return { tenant_id, id: Bun.randomUUIDv7(), user_id, metadata: {}, created_at: now, updated_at: now }
}

/** Erasing stops before the users, when the conversations are gone, for as long as somebody holds lock 62. */
const pausing = [
  'create function pause() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(62); return null; end $$',
  'create trigger pause before delete on users execute function pause()',
]

/** How many connections to the database wait for a lock. */
async function waitingIn(connection: Connection): Promise<number> {
  const text = `select count(distinct pid)::int as waiting from pg_locks where not granted and pid in (
    select pid from pg_locks where database = (select oid from pg_database where datname = current_database()))`
  return Number((await rowsOf(connection, text))[0]?.waiting)
}

/** A trigger that somebody may have added, and that deletes more than it has to. */
const meddling = {
  sqlite: ['create trigger meddle after delete on users begin delete from job_schedules; end'],
  postgres: [
    `create function meddle() returns trigger language plpgsql as $$ begin delete from job_schedules; return null; end $$`,
    'create trigger meddle after delete on users for each row execute function meddle()',
  ],
}
