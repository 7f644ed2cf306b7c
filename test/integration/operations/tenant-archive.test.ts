import { afterAll, test as anyTest, beforeAll, describe, expect, setDefaultTimeout } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { and, eq } from 'drizzle-orm'
import { verifyRollups } from '../../../src/analytics/verify'
import { matching } from '../../../src/conversations/search'
import { insertAll } from '../../../src/database/bulk'
import { tenantTables } from '../../../src/database/catalogue'
import { dialect } from '../../../src/database/dialect'
import { asTenant } from '../../../src/database/reach'
import { conversations, messages, tenant_plugins, tenants, users } from '../../../src/database/tables'
import { fillDemo } from '../../../src/demo'
import { isIdColumn } from '../../../src/operations/archive'
import { longestLine } from '../../../src/operations/lines'
import { buildSealer } from '../../../src/sealing'
import { tenantBySlug } from '../../../src/tenants/store'
import { ownDatabase, rowsOf, seeingAll } from '../../own-database'
import { rowOf as anyRowOf, idOf } from '../../rows-of-tenants'
import {
  archiveOf,
  canary,
  clock,
  exportTo,
  fillTwoTenants,
  importFrom,
  linesOf,
  ofA,
  ofB,
  refusal,
  sealer,
  slugsIn,
  tenantRows,
} from './archives'

// They share two databases.
const test = anyTest.serial

// Making a database takes as long as the machine is busy.
setDefaultTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), 'archives-'))
const source = await ownDatabase()
/** Has the other tenant only. */
const occupied = await ownDatabase()
const archive = join(folder, 'a.jsonl')
beforeAll(async () => {
  await fillTwoTenants(source)
  await exportTo(source, archive)
  const other = join(folder, 'occupies.jsonl')
  await exportTo(source, other, 'slug-of-b')
  await importFrom(occupied, other)
})
afterAll(async () => {
  await source[Symbol.asyncDispose]()
  await occupied[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

describe('an archive', () => {
  test('has every row of its tenant, from every table, and none of another', async () => {
    const [header, ...rows] = linesOf(archive)

    const counts = Object.fromEntries(
      tenantTables.map(({ name }) => [name, rows.filter(({ table }) => table === name).length]),
    )
    expect(Object.values(counts).filter((count) => count === 0)).toEqual([])
    expect(header).toEqual({
      format: 'tenantry tenant',
      version: 1,
      schema: expect.stringMatching(/^\d{4}_[a-z_]+$/),
      exported_at: '2026-03-02T09:00:00.000Z',
      tenant: { id: idOf('a', 'tenant_id'), slug: 'slug-of-a', name: 'name-of-a' },
      secrets: 'sealed',
      note: 'Secrets are sealed, for this tenant id: they open with the ENCRYPTION_KEY that sealed them and with no other.',
      counts,
    })
    expect(rows.filter(ofB)).toEqual([])
    expect(readFileSync(archive, 'utf8')).not.toContain(canary)
  })

  test('is for its owner alone, and is not written over', async () => {
    const before = readFileSync(archive, 'utf8')

    const refused = await refusal(exportTo(source, archive, 'slug-of-b'))

    expect(refused).toBe(`${archive} is there already, and nothing is written over it.`)
    expect(readFileSync(archive, 'utf8')).toBe(before)
    expect(statSync(archive).mode & 0o777).toBe(0o600)
  })

  test('becomes the same rows in another database, beside those of other tenants', async () => {
    await using target = await ownDatabase()
    const other = join(folder, 'b.jsonl')
    await exportTo(source, other, 'slug-of-b')
    await importFrom(target, other)

    const said = await importFrom(target, archive)

    expect(said).toMatch(/^Imported slug-of-a \(0196a000-[0-9a-f-]+\): \d+ rows\.$/)
    expect(await tenantRows(target, ofA)).toEqual(await tenantRows(source, ofA))
    expect(await tenantRows(target, ofB)).toEqual(await tenantRows(source, ofB))
  })

  test('of more rows than are read at once has each of them once', async () => {
    await using large = await ownDatabase()
    await fillTwoTenants(large)
    const [tenant_id, conversation_id] = [idOf('a', 'tenant_id'), idOf('a', 'conversation_id')]
    const rows = Array.from({ length: 450 }, (_, n) => ({
      tenant_id,
      conversation_id,
      position: n + 2,
      id: Bun.randomUUIDv7(),
      role: 'user' as const,
      content: `number ${n}`,
      status: 'complete' as const,
      created_at: clock.now(),
    }))
    await asTenant(tenant_id, async () => {
      await large.database.transaction(() => insertAll(messages, rows))
      await large.database.update(conversations).set({ message_count: 451 })
    })
    const file = join(folder, 'large.jsonl')

    await exportTo(large, file)

    await using target = await ownDatabase()
    await importFrom(target, file)
    expect(linesOf(file).filter(({ table }) => table === 'messages')).toHaveLength(451)
    expect(await tenantRows(target)).toEqual(await tenantRows(large, ofA))
  })

  test('leaves analytics and search as right as they were', async () => {
    await using demo = await ownDatabase()
    await seeingAll(() => fillDemo(demo.database, clock))
    const file = join(folder, 'demo.jsonl')
    await exportTo(demo, file, 'acme')
    await using target = await ownDatabase()

    await importFrom(target, file)

    const tenant_id = await seeingAll(() => tenantBySlug(target.database, 'acme'))
    const principal = { tenant_id, user_id: '', role: 'admin' as const }
    const found = ({ database }: typeof demo) =>
      asTenant(tenant_id, async () => {
        const match = await matching(database, principal, 'certificate')
        return await database
          .select({ id: conversations.id })
          .from(conversations)
          .where(and(eq(conversations.tenant_id, tenant_id), match))
          .orderBy(conversations.id)
      })
    expect(await asTenant(tenant_id, () => verifyRollups(target.database, tenant_id))).toEqual([])
    expect(await tenantRows(target)).toEqual(await tenantRows(demo, (row) => JSON.stringify(row).includes(tenant_id)))
    expect((await found(demo)).length).toBeGreaterThan(0)
    expect(await found(target)).toEqual(await found(demo))
  })

  test('takes another slug where one is given', async () => {
    await using target = await ownDatabase()

    await importFrom(target, archive, { slug: 'moved' })

    expect(await slugsIn(target)).toEqual(['moved'])
  })
})

describe('the secrets of plugins', () => {
  const pluginsIn = ({ database }: typeof source) =>
    asTenant(idOf('a', 'tenant_id'), () =>
      database
        .select({
          enabled: tenant_plugins.is_enabled,
          sealed: tenant_plugins.sealed_secrets,
          key_id: tenant_plugins.key_id,
          config: tenant_plugins.config,
        })
        .from(tenant_plugins)
        .where(eq(tenant_plugins.tenant_id, idOf('a', 'tenant_id'))),
    )
  const bare = [{ enabled: false, sealed: null, key_id: null, config: {} }]

  test('open after the import with the key that sealed them', async () => {
    await using target = await ownDatabase()

    await importFrom(target, archive)

    const [plugin] = await pluginsIn(target)
    expect(plugin?.enabled).toBe(true)
    expect(sealer.open(plugin?.sealed ?? '', [idOf('a', 'tenant_id'), 'name-of-a'])).toBe(canary)
  })

  test('are left out of an archive, and their plugins disabled, where that was asked for', async () => {
    await using target = await ownDatabase()
    const file = join(folder, 'bare.jsonl')

    await exportTo(source, file, 'slug-of-a', true)

    await importFrom(target, file, { sealer: buildSealer({ current: undefined, previous: undefined }) })
    expect(linesOf(file)[0]).toMatchObject({ secrets: 'left out' })
    expect(readFileSync(file, 'utf8')).not.toContain(sealer.keyId ?? '')
    expect(await pluginsIn(target)).toEqual(bare)
  })

  test('that nobody here can open are refused, unless they are left out', async () => {
    await using target = await ownDatabase()
    const keyless = { sealer: buildSealer({ current: undefined, previous: undefined }) }

    const refused = await refusal(importFrom(target, archive, keyless))
    const slugs = await slugsIn(target)
    await importFrom(target, archive, { ...keyless, leaveSecrets: true })

    expect(refused).toMatch(
      new RegExp(
        `^${archive}: line \\d+: a secret cannot be opened \\(This was sealed with the key ${sealer.keyId}, which is not here; set ENCRYPTION_KEY_PREVIOUS to that key\\.\\) Import --without-secrets, or give the key; nothing was imported$`,
      ),
    )
    expect(slugs).toEqual([])
    expect(await pluginsIn(target)).toEqual(bare)
  })

  test('are told of where the tenant has some, whatever another tenant has', async () => {
    await using own = await ownDatabase()
    await fillTwoTenants(own)
    await asTenant(idOf('a', 'tenant_id'), () =>
      own.database
        .update(tenant_plugins)
        .set({ sealed_secrets: null, key_id: null })
        .where(eq(tenant_plugins.tenant_id, idOf('a', 'tenant_id'))),
    )
    const files = (['a', 'b'] as const).map((tenant) => join(folder, `told-of-${tenant}.jsonl`))

    const said = [await exportTo(own, String(files[0])), await exportTo(own, String(files[1]), 'slug-of-b')]

    expect(files.map((file) => linesOf(file)[0]?.secrets)).toEqual(['none', 'sealed'])
    expect(said.map((each) => each.replace(/^.* bytes\. /, ''))).toEqual([
      'No plugin of this tenant has secrets.',
      'Secrets are sealed, for this tenant id: they open with the ENCRYPTION_KEY that sealed them and with no other.',
    ])
  })

  test('stand in no other column than those that are left out', () => {
    const sealed = tenantTables.flatMap(({ name, columns }) =>
      Object.keys(columns)
        .filter((column) => /sealed|secret|key_id/.test(column))
        .map((column) => `${name}.${column}`),
    )

    expect(sealed).toEqual(['tenant_plugins.sealed_secrets', 'tenant_plugins.key_id'])
  })
})

describe('an archive that is not as it has to be', () => {
  type Lines = Record<string, unknown>[]
  const header0 = (lines: Lines) => lines[0] as { counts: Record<string, number>; tenant: object }
  const rowOf = (lines: Lines, table: string) =>
    lines.find((line) => line.table === table) as { table: string; row: Record<string, unknown> }
  const change = (table: string, changes: Record<string, unknown>) => (lines: Lines) =>
    lines.map((line) => (line.table === table ? { table, row: { ...rowOf(lines, table).row, ...changes } } : line))
  const withHeader = (changes: object) => (lines: Lines) => [{ ...header0(lines), ...changes }, ...lines.slice(1)]
  const counted = (lines: Lines, table: string, by: number) => ({
    ...header0(lines).counts,
    [table]: (header0(lines).counts[table] ?? 0) + by,
  })
  const twice = (lines: Lines, table: string, changes: Record<string, unknown> = {}) =>
    lines.flatMap((line, at) => {
      if (at === 0) return [{ ...line, counts: counted(lines, table, 1) }]
      return line.table === table && line === rowOf(lines, table)
        ? [line, { table, row: { ...rowOf(lines, table).row, ...changes } }]
        : [line]
    })
  const b = idOf('b', 'tenant_id')
  const hostile = 'x\u001b[2J\nline'
  /** What the database would take, and the service could not work with. */
  const unfit: [string, string, Record<string, unknown>][] = [
    ['a time that never comes', 'job_schedules', { cron: 'whenever' }],
    ['a day that never comes', 'job_schedules', { cron: '0 0 30 2 *' }],
    ['a sketch that is none', 'tenant_days', { latency: 'fast' }],
    ['a sketch that would fill the memory', 'tenant_days', { latency: '[1000000000,1]' }],
    ['a sketch of other things than counts', 'route_days', { latency: '[205,-1]' }],
    ['a name that is too long', 'tenants', { name: 'x'.repeat(201) }],
    ['a limit below nothing', 'tenant_settings', { requests_per_minute: 0 }],
    ['a quota below nothing', 'tenant_settings', { monthly_token_quota: -1 }],
    ['prices that are no numbers', 'tenant_settings', { prices: { m: { prompt_micros_per_million_tokens: 'x' } } }],
    ['metadata that is a list', 'conversations', { metadata: [1] }],
    ['a call of a tool that says nothing of it', 'messages', { tool_call: {} }],
    ['annotations that are a list', 'messages', { annotations: [1] }],
    ['tokens below nothing', 'messages', { prompt_tokens: -1 }],
    ['requests below nothing', 'tenant_days', { request_count: -1 }],
  ]

  test.each<[string, (lines: Lines) => (Record<string, unknown> | string)[], RegExp]>([
    ['nothing', () => [], /: this is no archive of a tenant; /],
    ['another file', () => ['{"a": 1}'], /: this is no archive of a tenant; /],
    ['no text', () => ['\u0000\u0001'], /: line 1 is no JSON; /],
    [
      'a format that is newer',
      withHeader({ version: 2 }),
      /: this Tenantry reads version 1 of the archive, and this is another one; /,
    ],
    [
      'a schema that is newer',
      withHeader({ schema: '9999_later' }),
      /: it was written by a newer Tenantry; bring this one up to date first; /,
    ],
    ['a header with more in it', withHeader({ more: 1 }), /: line 1 is no header of an archive; /],
    [
      'a tenant without an id',
      withHeader({ tenant: { id: '../..', slug: 'x', name: 'x' } }),
      /: line 1 is no header of an archive; /,
    ],
    ['a line that is no JSON', (lines) => [...lines, '{"table": "users", "row": {'], /: line \d+ is no JSON; /],
    ['an empty line', (lines) => [...lines, ''], /: line \d+ is no JSON; /],
    ['a list', (lines) => [...lines, '["users", {}]'], /: line \d+ is no row; /],
    ['a row that is a list', (lines) => [...lines, { table: 'users', row: [] }], /: line \d+ is no row; /],
    ['more beside a row', (lines) => [...lines, { table: 'users', row: {}, more: 1 }], /: line \d+ is no row; /],
    [
      'a line of 10 MB',
      (lines) => [...lines, `"${'x'.repeat(10_000_000)}"`],
      /: line \d+ is longer than 8388608 bytes; /,
    ],
    [
      'a line with one byte too many',
      (lines) => [...lines, `"${'x'.repeat(longestLine - 1)}"`],
      /: line \d+ is longer than 8388608 bytes; /,
    ],
    [
      'no row in as many bytes as a line may have',
      (lines) => [...lines, `"${'x'.repeat(longestLine - 2)}"`],
      /: line \d+ is no row; /,
    ],
    [
      'a table that is none',
      (lines) => [...lines, { table: 'migrations', row: {} }],
      /: line \d+ is of a table that is not known here; /,
    ],
    [
      'a table that every object has',
      (lines) => [...lines, { table: 'constructor', row: {} }],
      /: line \d+ is of a table that is not known here; /,
    ],
    ['a column that is none', change('users', { is_root: true }), /: line \d+: users has no column is_root; /],
    [
      'a column that would be printed',
      change('users', { [hostile]: 1 }),
      /: line \d+: users has no column of that name; /,
    ],
    [
      'a prototype',
      (lines) =>
        lines.map((line) => (line.table === 'users' ? `{"table":"users","row":{"__proto__":{"role":"admin"}}}` : line)),
      /: line \d+: users has no column __proto__; /,
    ],
    [
      'a column too few',
      (lines) =>
        lines.map((line) =>
          line.table === 'users' ? { table: 'users', row: { ...rowOf(lines, 'users').row, email: undefined } } : line,
        ),
      /: line \d+: users\.email is missing; /,
    ],
    ['a number for a text', change('users', { email: 7 }), /: line \d+: users\.email is not what it has to be; /],
    [
      'null where something has to be',
      change('users', { email: null }),
      /: line \d+: users\.email is not what it has to be; /,
    ],
    [
      'a number with a fraction',
      change('messages', { position: 1.5 }),
      /: line \d+: messages\.position is not what it has to be; /,
    ],
    [
      'a day that is none',
      change('users', { created_at: '2026-02-30T00:00:00.000Z' }),
      /: line \d+: users\.created_at is not what it has to be; /,
    ],
    [
      'a text for a JSON',
      change('conversations', { metadata: '{}' }),
      /: line \d+: conversations\.metadata is not what it has to be; /,
    ],
    [
      'an id with words in it',
      change('messages', { id: `x t${b.replaceAll('-', '')}` }),
      /: line \d+: messages\.id is not what it has to be; /,
    ],
    ...unfit.map(([what, table, changes]): [string, (lines: Lines) => Lines, RegExp] => [
      what,
      change(table, changes),
      new RegExp(`: line \\d+: ${table}\\.${Object.keys(changes)} is not what it has to be; `),
    ]),
    ['a row of another tenant', change('users', { tenant_id: b }), /: line \d+: users has a row of another tenant; /],
    ['another tenant', change('tenants', { id: b }), /: line \d+: tenants has a row of another tenant; /],
    ['a slug that is none', change('tenants', { slug: '-A-' }), /: A slug has 1 to 63 [^\n]+; /],
    [
      'a role that is none',
      change('users', { role: 'root' }),
      /: the rows of users up to line \d+ do not fit together \(\w+\); /,
    ],
    [
      'one id twice',
      (lines) => twice(lines, 'users', { external_id: 'x', email: 'x@x' }),
      /: the rows of users up to line \d+ do not fit together \(\w+\); /,
    ],
    [
      'one address twice',
      (lines) => twice(lines, 'users', { id: Bun.randomUUIDv7(), external_id: 'x' }),
      /: the rows of users up to line \d+ do not fit together \(\w+\); /,
    ],
    [
      'a conversation of nobody',
      change('conversations', { user_id: Bun.randomUUIDv7() }),
      /: the rows of conversations up to line \d+ do not fit together \(\w+\); /,
    ],
    [
      'a conversation with fewer messages than it counts',
      change('conversations', { message_count: 7 }),
      /: a conversation has other messages than it counts; /,
    ],
    [
      'a conversation with a message at another place',
      (lines) =>
        lines.map((line) =>
          line === rowOf(lines, 'messages') ? { ...line, row: { ...Object(line.row), position: 99 } } : line,
        ),
      /: a conversation has other messages than it counts; /,
    ],
    [
      'sums before what they are the sums of',
      (lines) => [...lines.filter(({ table }) => table !== 'usage_records'), rowOf(lines, 'usage_records')],
      /: line \d+: usage_records has a row that comes too late; /,
    ],
    [
      'two tenants',
      (lines) => twice(lines, 'tenants'),
      /: the rows of tenants up to line 3 do not fit together \(\w+\); /,
    ],
    [
      'a secret of another plugin',
      change('tenant_plugins', { name: 'other' }),
      /: line \d+: a secret cannot be opened \([^\n]+; nothing /,
    ],
    [
      'a key that nobody has',
      change('tenant_plugins', { sealed_secrets: null, key_id: '0000000000000000' }),
      /: line \d+: a secret cannot be opened \([^\n]+; nothing /,
    ],
    [
      'another key than the one that sealed',
      change('tenant_plugins', { key_id: '0000000000000000' }),
      /: line \d+: a secret cannot be opened \(This names another key than its own\.\) [^\n]+; nothing /,
    ],
    ['an end that is missing', (lines) => lines.slice(0, -1), /: it has 1 rows of usage_days, and its header says 2; /],
    [
      'no tenant',
      (lines) => lines.filter(({ table }) => table !== 'tenants'),
      /: the rows of \w+ up to line \d+ do not fit together \(\w+\); /,
    ],
    [
      'no row at all, as its header says',
      (lines) => [{ ...header0(lines), counts: {} }],
      /: it has not the one tenant that it is of; /,
    ],
  ])('changes nothing: %s', async (_, spoil, reason) => {
    const before = await tenantRows(occupied)
    const file = archiveOf(folder, spoil(linesOf(archive)))

    const refused = await refusal(importFrom(occupied, file))

    expect(refused).toMatch(reason)
    expect(refused).toMatch(new RegExp(`^${file}: [^\\n\\u001b]+; nothing was imported$`))
    expect(await tenantRows(occupied)).toEqual(before)
  })

  test('is all that stood in the way of one that is', async () => {
    const before = await tenantRows(occupied, ofB)

    await importFrom(occupied, archiveOf(folder, linesOf(archive)))

    expect(await tenantRows(occupied, ofA)).toEqual(await tenantRows(source, ofA))
    expect(await tenantRows(occupied, ofB)).toEqual(before)
    await seeingAll(() => occupied.database.delete(tenants).where(eq(tenants.slug, 'slug-of-a')))
    expect(await slugsIn(occupied)).toEqual(['slug-of-b'])
  })

  test('is not to blame for what another tenant counts, not even in a conversation of the same id', async () => {
    await using target = await ownDatabase()
    const other = join(folder, 'counts.jsonl')
    await exportTo(source, other, 'slug-of-b')
    await importFrom(target, other)
    const same = { conversation_id: idOf('a', 'conversation_id'), position: 99 }
    await asTenant(idOf('b', 'tenant_id'), async () => {
      await target.database.update(conversations).set({ message_count: 7 })
      await target.database.insert(conversations).values({ ...anyRowOf(conversations, 'b'), id: same.conversation_id })
      await target.database.insert(messages).values({ ...anyRowOf(messages, 'b'), ...same, id: Bun.randomUUIDv7() })
    })

    expect(await importFrom(target, archive)).toMatch(/^Imported slug-of-a /)
  })

  test('is not to blame where the disk is full', async () => {
    await using target = await ownDatabase()
    const file = archiveOf(folder, change('messages', { content: 'x'.repeat(1_000_000) })(linesOf(archive)))
    for (const statement of full[dialect]) await rowsOf(target, statement)

    const refused = await refusal(importFrom(target, file))

    for (const statement of emptied[dialect]) await rowsOf(target, statement)
    expect(refused).toMatch(/^(database or disk is full|no space is left)$/)
    expect(await slugsIn(target)).toEqual([])
    expect(await importFrom(target, file)).toMatch(/^Imported slug-of-a /)
  })

  test('may be older than a column that has a default or may be empty', async () => {
    await using target = await ownDatabase()
    const [header, ...rows] = linesOf(archive)
    const older = rows.map(({ table, row }) => {
      const { is_active, display_name, ...others } = row as Record<string, unknown>
      return { table, row: others }
    })

    await importFrom(target, archiveOf(folder, [{ ...header, schema: '0000_init' }, ...older]))

    const columns = { active: users.is_active, name: users.display_name }
    const found = await seeingAll(() => target.database.select(columns).from(users))
    expect(found).toEqual([{ active: true, name: null }])
  })

  test('is refused where its tenant is already, or its slug', async () => {
    const before = await tenantRows(source)
    await using target = await ownDatabase()
    await importFrom(target, archive, { slug: 'slug-of-b' })
    const other = join(folder, 'other.jsonl')
    await exportTo(source, other, 'slug-of-b')

    const refused = [
      await refusal(importFrom(source, archive)),
      await refusal(importFrom(source, archive, { slug: 'moved' })),
      await refusal(importFrom(target, other)),
    ]

    const there = `${archive}: the tenant ${idOf('a', 'tenant_id')} is there already; erase it first; nothing was imported`
    expect(refused).toEqual([
      there,
      there,
      `${other}: there is a tenant with the slug slug-of-b already; give another one with --slug; nothing was imported`,
    ])
    expect(await tenantRows(source)).toEqual(before)
    expect(await slugsIn(target)).toEqual(['slug-of-b'])
  })

  test('keeps names that mean something to JavaScript as data, where data may be', async () => {
    await using target = await ownDatabase()
    const text = readFileSync(archive, 'utf8').replace('"metadata":{}', '"metadata":{"__proto__":{"role":"admin"}}')

    await importFrom(target, archiveOf(folder, text.trimEnd().split('\n')))

    const columns = { metadata: conversations.metadata }
    const [kept] = await seeingAll(() => target.database.select(columns).from(conversations))
    expect(JSON.stringify(kept)).toBe('{"metadata":{"__proto__":{"role":"admin"}}}')
  })
})

/** A disk on which nothing more fits, for as long as it is not emptied. */
const full = {
  sqlite: ['pragma max_page_count = 1'],
  postgres: [
    `create function refuse() returns trigger language plpgsql as $$ begin raise 'no space is left' using errcode = 'disk_full'; end $$`,
    'create trigger refuse before insert on messages execute function refuse()',
  ],
}
const emptied = { sqlite: ['pragma max_page_count = 1000000'], postgres: ['drop trigger refuse on messages'] }

describe.if(dialect === 'postgres')('the columns that have to be ids', () => {
  test('are those that Postgres keeps as such', () => {
    const all = tenantTables.flatMap(({ name, columns }) =>
      Object.values(columns).map((column) => ({ column: `${name}.${column.name}`, type: column.getSQLType() })),
    )

    const named = all.filter(({ column }) => isIdColumn(column.split('.')[1] ?? ''))

    expect(named).toEqual(all.filter(({ type }) => type === 'uuid'))
  })
})
