import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { eq, getTableColumns, getTableName, is, Table } from 'drizzle-orm'
import { isUniqueViolation } from '../../../src/database/database'
import { dialect } from '../../../src/database/dialect'
import * as schema from '../../../src/database/tables'
import { database, describe, expect, test } from '../../kit'
import { ownDatabase } from '../../own-database'

const { conversations, messages, tenant_settings, tenants, usage_records, users } = schema
const at = new Date('2026-03-02T09:00:00.123Z')
const stamps = { created_at: at, updated_at: at }
const id = () => Bun.randomUUIDv7()
const rejection = (query: PromiseLike<unknown>) =>
  query.then(
    () => 'resolved',
    (error: unknown) => error,
  )

describe('the columns', () => {
  test('give back what was put in, in the types of JavaScript', async ({ tenantA, users: { adminA } }) => {
    const conversation = {
      tenant_id: tenantA.id,
      id: id(),
      user_id: adminA.id,
      title: 'Zwölf Boxkämpfer 🥊',
      system_prompt: null,
      metadata: { nested: [1, 1.5, null, { deep: 'ß' }], empty: {}, text: 'quote \' " \\ \n' },
      is_archived: true,
      message_count: 2_147_483_647,
      ...stamps,
    }
    await database.insert(conversations).values(conversation)
    const settings = { monthly_token_quota: Number.MAX_SAFE_INTEGER, retention_days: null, updated_at: at }
    await database.update(tenant_settings).set(settings).where(eq(tenant_settings.tenant_id, tenantA.id))

    const found = await database.select().from(conversations).where(eq(conversations.id, conversation.id))
    const kept = await database.select().from(tenant_settings).where(eq(tenant_settings.tenant_id, tenantA.id))

    expect(found).toEqual([conversation])
    expect(kept).toMatchObject([settings])
  })

  test('are those that the tables declare, in names and in what may be missing', async () => {
    const declared = Object.values(schema)
      .filter((table) => is(table, Table))
      .flatMap((table) =>
        Object.values(getTableColumns(table)).map(
          ({ name, notNull }) => `${getTableName(table)}.${name}${notNull ? '' : '?'}`,
        ),
      )

    await using own = await ownDatabase()

    const found = await own.root.session.run({ text: columnsOf[dialect], params: [], shape: 'arrays' })

    expect(found.flat().sort()).toEqual(declared.sort())
  })

  test('are declared alike for both databases', async () => {
    const [sqlite, postgres] = await Promise.all([newestSnapshot('sqlite'), newestSnapshot('postgres')])

    expect(sqlite.length).toBeGreaterThan(40)
    expect(sqlite).toEqual(postgres)
  })

  test('sort ids by the time they were made, and text by its code points', async () => {
    const [first, second] = [id(), id()]
    const slugs = ['a10', 'a9', 'b', 'a-b', 'ab']
    await database.delete(tenants)
    await database.insert(tenants).values(slugs.map((slug) => ({ id: id(), slug, name: slug, ...stamps })))
    await database.insert(tenants).values([
      { id: second, slug: 'z2', name: 'later', ...stamps },
      { id: first, slug: 'z1', name: 'earlier', ...stamps },
    ])

    const bySlug = await database.select({ slug: tenants.slug }).from(tenants).orderBy(tenants.slug)
    const byId = await database.select({ slug: tenants.slug }).from(tenants).orderBy(tenants.id)

    expect(bySlug.map(({ slug }) => slug)).toEqual(['a-b', 'a10', 'a9', 'ab', 'b', 'z1', 'z2'])
    expect(byId.map(({ slug }) => slug)).toEqual(['z1', 'z2', ...slugs])
  })
})

describe('the keys', () => {
  const user = (tenant_id: string, external_id: string) => ({
    tenant_id,
    id: id(),
    external_id,
    email: `${external_id}@example.com`,
    role: 'viewer' as const,
    ...stamps,
  })

  test('begin with the tenant in every table of tenants', async () => {
    const tables = Object.values(await newestTables('postgres')).filter(({ columns }) => columns.tenant_id)

    const keys = tables.flatMap(({ name, columns, ...table }) =>
      [
        Object.values(columns).flatMap((column) => (column.primaryKey ? [column.name] : [])),
        ...Object.values(table.compositePrimaryKeys).map((key) => key.columns),
        ...Object.values(table.uniqueConstraints).map((key) => key.columns),
        ...Object.values(table.foreignKeys).map((key) => key.columnsFrom),
      ].flatMap((key) => (key.length > 0 ? [`${name}: ${key}`] : [])),
    )

    expect(keys.filter((key) => !/: tenant_id(,|$)/.test(key))).toEqual([])
    expect(keys).toContain('conversations: tenant_id,id')
  })

  test("refuse a message under another tenant's conversation", async ({ tenantA, tenantB, users }) => {
    const conversation_id = id()
    const own = { tenant_id: tenantA.id, id: conversation_id, user_id: users.adminA.id, metadata: {}, ...stamps }
    await database.insert(conversations).values(own)
    const message = { conversation_id, role: 'user', content: 'hello', status: 'complete', created_at: at } as const

    const foreign = await rejection(
      database.insert(messages).values({ ...message, tenant_id: tenantB.id, id: id(), position: 1 }),
    )

    expect(foreign).toMatchObject({ cause: { code: foreignKeyRefused } })
    await database.insert(messages).values({ ...message, tenant_id: tenantA.id, id: id(), position: 1 })
    expect(await database.$count(messages)).toBe(1)
  })

  test("refuse a conversation and a usage record of another tenant's user", async ({
    tenantA,
    tenantB,
    users: { adminA },
  }) => {
    const conversation = { id: id(), user_id: adminA.id, metadata: {}, ...stamps }
    const usage = {
      id: id(),
      user_id: adminA.id,
      conversation_id: id(),
      message_id: id(),
      model: 'm',
      prompt_tokens: 1,
      completion_tokens: 1,
      is_estimated: false,
      created_at: at,
    }

    const refused = [
      await rejection(database.insert(conversations).values({ ...conversation, tenant_id: tenantB.id })),
      await rejection(database.insert(usage_records).values({ ...usage, tenant_id: tenantB.id })),
    ]

    expect(refused).toMatchObject([{ cause: { code: foreignKeyRefused } }, { cause: { code: foreignKeyRefused } }])
    await database.insert(conversations).values({ ...conversation, tenant_id: tenantA.id })
    await database.insert(usage_records).values({ ...usage, tenant_id: tenantA.id })
  })

  test('refuse what is taken, and the refusal is known from others', async ({ tenantA, tenantB }) => {
    await database.insert(users).values(user(tenantA.id, 'nina'))
    const first = user(tenantA.id, 'otto')
    await database.insert(users).values(first)

    const unique = await rejection(database.insert(users).values(user(tenantA.id, 'nina')))
    const primary = await rejection(database.insert(users).values({ ...user(tenantA.id, 'paul'), id: first.id }))
    const foreign = await rejection(database.insert(users).values(user(id(), 'nina')))

    expect([unique, primary, foreign].map(isUniqueViolation)).toEqual([true, true, false])
    await database.insert(users).values(user(tenantB.id, 'nina'))
  })

  test('refuse roles, statuses and token counts that cannot be', async ({ tenantA, users: { adminA } }) => {
    const wrongRole = { ...user(tenantA.id, 'nina'), role: 'owner' as 'admin' }
    const usage = { tenant_id: tenantA.id, user_id: adminA.id, conversation_id: id(), message_id: id(), model: 'm' }
    const counts = { prompt_tokens: 1, completion_tokens: -1, is_estimated: false, created_at: at }

    const refused = [
      await rejection(database.insert(users).values(wrongRole)),
      await rejection(database.insert(usage_records).values({ ...usage, ...counts, id: id() })),
    ]

    expect(refused).toMatchObject([{ cause: { code: checkRefused } }, { cause: { code: checkRefused } }])
    await database.insert(users).values({ ...wrongRole, role: 'admin' })
    await database.insert(usage_records).values({ ...usage, ...counts, id: id(), completion_tokens: 1 })
  })
})

const foreignKeyRefused = dialect === 'sqlite' ? 'SQLITE_CONSTRAINT_FOREIGNKEY' : '23503'
const checkRefused = dialect === 'sqlite' ? 'SQLITE_CONSTRAINT_CHECK' : '23514'

/** What the running database has, in the form `table.column`, with ? where null may be. The search index is its own affair. */
const columnsOf = {
  sqlite: `
    select t.name || '.' || c.name || iif(c."notnull" or c.pk, '', '?') as found
    from sqlite_schema t, pragma_table_info(t.name) c
    where t.type = 'table' and t.name <> 'migrations' and t.name not like 'conversation_search%'`,
  postgres: `
    select table_name || '.' || column_name || case is_nullable when 'YES' then '?' else '' end as found
    from information_schema.columns
    where table_schema = 'public' and table_name <> 'migrations' and column_name <> 'search'`,
}

type Snapshot = {
  tables: Record<
    string,
    {
      name: string
      columns: Record<string, { name: string; notNull: boolean; primaryKey: boolean }>
      compositePrimaryKeys: Record<string, { columns: string[] }>
      indexes: Record<string, { name: string }>
      uniqueConstraints: Record<string, { name: string; columns: string[] }>
      foreignKeys: Record<string, { columnsFrom: string[]; columnsTo: string[]; tableTo: string; onDelete: string }>
      checkConstraints: Record<string, { name: string }>
    }
  >
}

/** drizzle-kit's own record of the newest migration. */
async function newestTables(dialect: 'sqlite' | 'postgres'): Promise<Snapshot['tables']> {
  const folder = join(import.meta.dir, '../../../drizzle', dialect, 'meta')
  const newest = readdirSync(folder)
    .filter((file) => file.endsWith('_snapshot.json'))
    .sort()
    .at(-1)
  const { tables }: Snapshot = await Bun.file(join(folder, `${newest}`)).json()
  return tables
}

/** The same as far as both databases have it. */
async function newestSnapshot(dialect: 'sqlite' | 'postgres'): Promise<string[]> {
  return Object.values(await newestTables(dialect))
    .flatMap(({ name: table, columns, indexes, uniqueConstraints, foreignKeys, checkConstraints }) => [
      ...Object.values(columns).map(({ name, notNull }) => `${table}.${name}${notNull ? '' : '?'}`),
      // SQLite's unique constraints are indexes.
      ...Object.values({ ...indexes, ...uniqueConstraints }).map(({ name }) => `${table} index ${name}`),
      ...Object.values(checkConstraints).map(({ name }) => `${table} check ${name}`),
      ...Object.values(foreignKeys).map(
        ({ columnsFrom, columnsTo, tableTo, onDelete }) =>
          `${table} (${columnsFrom}) -> ${tableTo} (${columnsTo}) ${onDelete}`,
      ),
    ])
    .sort()
}
