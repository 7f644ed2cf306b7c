import { afterAll, describe as bunDescribe, test } from 'bun:test'
import { getTableColumns, getTableName } from 'drizzle-orm'
import { connect, type Database } from '../../../src/database/database'
import { dialect } from '../../../src/database/dialect'
import { acrossTenants, asNobody, asTenant, currentReach } from '../../../src/database/reach'
import { requireBoundRole } from '../../../src/database/role'
import { Scope, type Statement } from '../../../src/database/session'
import { conversations } from '../../../src/database/tables'
import { failureCode } from '../../../src/errors'
import { describe, expect, database as kitDatabase } from '../../kit'
import { ownDatabase, seeingAll } from '../../own-database'
import { fillEveryTable, idOf, rowOf, tables } from '../../rows-of-tenants'

const own = await ownDatabase()
afterAll(() => own[Symbol.asyncDispose]())
await fillEveryTable(own.database)

const [a, b] = [idOf('a', 'tenant_id'), idOf('b', 'tenant_id')]
const denied = '42501'

type Row = Record<string, unknown>
/** What is left of a query when the store has forgotten its tenant, in the transaction that runs, if one does. */
const ask = async (text: string, { root } = own) =>
  (await (Scope.current() ?? root).run({ text, params: [], shape: 'objects' })) as Row[]
const tenantsOf = (rows: readonly Row[] | undefined) => [...new Set(rows?.map(({ tenant }) => tenant))]
const refusal = (query: PromiseLike<unknown>) =>
  Promise.resolve(query).then(
    () => 'nothing was refused',
    (error: unknown) => failureCode(error),
  )

const cases = tables.map((table) => {
  const key = Object.hasOwn(getTableColumns(table), 'tenant_id') ? 'tenant_id' : 'id'
  return { table, name: getTableName(table), key }
})

bunDescribe.if(dialect === 'postgres')('row level security', () => {
  test('binds even the owner, of every table that has a tenant', async () => {
    const ofTenants = await ask(
      `select table_name as name from information_schema.columns where table_schema = 'public' and column_name = 'tenant_id'`,
    )

    const bound = await ask(`
      select relname as name from pg_class where relrowsecurity and relforcerowsecurity
        and 2 = (select count(*) from pg_policy where polrelid = pg_class.oid and polcmd = '*' and polwithcheck is not null)`)

    const names = bound.map(({ name }) => String(name)).sort()
    expect(names).toEqual(['tenants', ...ofTenants.map(({ name }) => String(name))].sort())
    expect(names).toEqual(cases.map(({ name }) => name).sort())
  })

  test('holds for the role that tests have', async () => {
    const [role] = await ask('select rolsuper, rolbypassrls from pg_roles where rolname = current_user')

    expect(role).toEqual({ rolsuper: false, rolbypassrls: false })
  })

  test.each(cases)("shows of $name only the tenant's rows", async ({ name, key }) => {
    const select = () => ask(`select ${key} as tenant from "${name}" order by 1`)

    const found = [
      await asTenant(a, select),
      await asTenant(b, select),
      await asNobody(select),
      await acrossTenants('it is tested', select),
    ]

    expect(found.map(tenantsOf)).toEqual([[a], [b], [], [a, b]])
  })

  test.each(cases)("changes and deletes in $name only the tenant's rows", async ({ name, key }) => {
    const whole = () => seeingAll(() => ask(`select * from "${name}" order by ${key}`))
    const before = await whole()
    const undone = new Error('undone')
    let [updated, deleted]: Row[][] = []
    const work = async () => {
      updated = await ask(`update "${name}" set ${key} = ${key} returning ${key} as tenant`)
      deleted = await ask(`delete from "${name}" returning ${key} as tenant`)
      throw undone
    }

    const thrown = await asTenant(a, () => own.database.transaction(work)).catch((error) => error)

    expect(thrown).toBe(undone)
    expect([updated, deleted].map(tenantsOf)).toEqual([[a], [a]])
    expect(await whole()).toEqual(before)
  })

  test.each(cases)(
    'takes no row into $name that is not of the tenant, nor gives one away',
    async ({ table, name, key }) => {
      const insert = () => own.database.insert(table).values(rowOf(table, 'b'))
      const give = () => ask(`update "${name}" set ${key} = '${b}'`)

      const refused = [
        await refusal(asTenant(a, insert)),
        await refusal(asNobody(insert)),
        await refusal(asTenant(a, give)),
      ]

      expect(refused).toEqual([denied, denied, denied])
      // It is there already, which only its tenant is told.
      expect(await refusal(asTenant(b, insert))).toBe('23505')
    },
  )
})

/** What may have happened to a pool's connection, with tenant A's rows at hand, before somebody else has it. */
const fates: Record<string, (database: Database) => Promise<unknown>> = {
  'a statement': () => ask('select * from users'),
  'a statement that failed': () => ask('select 1 / 0 from users'),
  'a transaction': (database) => database.transaction(() => ask('select * from users')),
  'a transaction that failed': (database) => database.transaction(() => ask('select 1 / 0 from users')),
  'a transaction that was undone': (database) => database.transaction(() => Promise.reject(new Error('undone'))),
  'a transaction whose inner one failed': (database) =>
    database.transaction(async () => {
      await database.transaction(() => Promise.reject(new Error('undone'))).catch(() => {})
    }),
  'a statement that was cancelled': (database) =>
    database.transaction(async () => {
      await ask('set local statement_timeout = 10')
      await ask('select pg_sleep(60)')
    }),
  'a connection that was cut': () => ask('select pg_terminate_backend(pg_backend_pid())'),
}

bunDescribe.if(dialect === 'postgres')('a connection of the pool', () => {
  test.each(Object.entries(fates))('carries no tenant after %s', async (_, meet) => {
    await using pool = connect(own.url, { maxConnections: 1 })
    const look = () => pool.root.enter(() => ask('select tenant_id as tenant from users'))
    await asTenant(a, () => pool.root.enter(() => meet(pool.database))).catch(() => {})

    const found = [await asNobody(look), await asTenant(b, look)]

    expect(found.map(tenantsOf)).toEqual([[], [b]])
  })

  test('carries no tenant among many that are asked for different ones', async () => {
    const names = Array.from({ length: 60 }, (_, n) => [a, b][n % 2] ?? a)

    const found = await Promise.all(
      names.map((tenant) => asTenant(tenant, () => ask('select tenant_id as tenant from users'))),
    )

    expect(found.flatMap(tenantsOf)).toEqual(names)
  })

  test('is told the tenant of each of the statements that are under way on it', async () => {
    await using pool = connect(own.url, { maxConnections: 1 })
    const shapes = {
      parameters: ['select tenant_id as tenant from users where $1::int = 1', [1]],
      'no parameters': ['select tenant_id as tenant from users', []],
      'a change': ['update users set role = role where $1::int = 1 returning tenant_id as tenant', [1]],
      'an error': ['select 1 / ($1::int * length(external_id)) from users', [0]],
    } as const
    const asked = Array.from({ length: 10 }, () => Object.entries(shapes)).flat()
    const reaches = [a, b, 'nobody']
    const ask = (reach: string, [text, params]: readonly [string, readonly unknown[]]) => {
      const look = async () => await pool.root.session.run({ text, params, shape: 'objects', reach: currentReach() })
      return reach === 'nobody' ? asNobody(look) : asTenant(reach, look)
    }

    const found = await Promise.allSettled(asked.flatMap(([, shape]) => reaches.map((reach) => ask(reach, shape))))

    const told = found.map((each) => (each.status === 'fulfilled' ? tenantsOf(each.value as Row[]) : each.reason.code))
    const expected = asked.flatMap<unknown>(([kind]) => (kind === 'an error' ? ['22012', '22012', []] : [[a], [b], []]))
    expect(told).toEqual(expected)
  })

  test('is not that of an unpatched driver, which tells it no tenant', async () => {
    await using pool = connect(own.url, { maxConnections: 1 })
    const { session } = pool.root
    const unpatched = { run: ({ text, params, shape }: Statement) => session.run({ text, params, shape }) }

    const thrown = await requireBoundRole(Object.assign(Object.create(pool.root), { session: unpatched })).catch(
      (error: Error) => error.message,
    )

    expect(thrown).toBe('The postgres package here lacks patches/ of Tenantry, without which a statement finds no rows')
    expect(await requireBoundRole(pool.root)).toBeUndefined()
  })
})

bunDescribe('a transaction', () => {
  test('is of one tenant from its beginning to its end', async () => {
    const changes: (() => Promise<unknown>)[] = [
      () => asTenant(b, () => ask('select * from users')),
      () => acrossTenants('it is tested', () => ask('select * from users')),
      () => asTenant(b, () => own.database.transaction(async () => {})),
    ]

    const thrown = await Promise.all(
      changes.map((change) =>
        asTenant(a, () => own.database.transaction(change)).catch((error: Error) => error.message),
      ),
    )

    const message = 'The tenant changed inside a transaction: asTenant() and acrossTenants() go around it.'
    expect(thrown).toEqual([message, message, message])
    const same = await asTenant(a, () => own.database.transaction(() => asTenant(a, () => ask('select 1 as one'))))
    expect(same).toEqual([{ one: 1 }])
    const within = await acrossTenants('it is tested', () =>
      own.database.transaction(() => asTenant(a, () => ask('select 1 as one'))),
    )
    expect(within).toEqual([{ one: 1 }])
  })

  test('is of nobody whose name is no id', async () => {
    expect(() => asTenant("all'; drop table users; --", async () => {})).toThrow('A tenant is named by its id.')
    expect(() => asTenant('all', async () => {})).toThrow('A tenant is named by its id.')
  })
})

describe.if(dialect === 'postgres')('the requests of one test', (kitTest) => {
  kitTest('leave no tenant to each other', async ({ adminA, adminB, tenantA, tenantB }) => {
    const look = () => kitDatabase.select({ tenant: conversations.tenant_id }).from(conversations)
    await adminA.post('/api/v1/conversations', {})
    const afterA = await asNobody(async () => await look())
    await adminB.post('/api/v1/conversations', {})
    await adminA.get('/api/v1/conversations/none')

    const found = [
      await asNobody(async () => await look()),
      await asTenant(tenantB.id, look),
      await asTenant(tenantA.id, look),
    ]

    expect([afterA, ...found].map(tenantsOf)).toEqual([[], [], [tenantB.id], [tenantA.id]])
  })
  kitTest('see in transactions of transactions what they see in one', async ({ adminA, adminB, tenantA, tenantB }) => {
    const look = async () => await kitDatabase.select({ tenant: conversations.tenant_id }).from(conversations)
    const nested = () => kitDatabase.transaction(() => kitDatabase.transaction(look))
    await adminA.post('/api/v1/conversations', {})
    await adminB.post('/api/v1/conversations', {})

    const found = [await asTenant(tenantA.id, nested), await asTenant(tenantB.id, nested), await asNobody(nested)]

    expect(found.map(tenantsOf)).toEqual([[tenantA.id], [tenantB.id], []])
  })
})
