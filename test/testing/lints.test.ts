import { eq, getTableColumns, getTableName, is, type SQL, Table } from 'drizzle-orm'
import * as schema from '../../src/database/tables'
import { conversations } from '../../src/database/tables'
import { Ledger, type LedgerStatement } from '../../src/testing'
import { type LintOptions, lintError, linter, tablesWith, tenantTables } from '../../src/testing/lints'
import { unboundTables } from '../../src/testing/tenant-predicates'
import { database, describe, expect, test } from '../kit'
import { ownDatabase } from '../own-database'
import { runDatabase } from '../setup'
import { bound, unbound } from './statements'

const tables = ['conversations', 'messages', 'users', 'tenant_settings']
const tenant = { column: 'tenant_id', tables: new Set(tables) }
const read = 'select "id" from "conversations" where "conversations"."id" = $1'
const write = 'insert into "messages" ("tenant_id", "id") values ($1, $2)'

/** A ledger with one request that ran these. */
async function ledgerOf(...statements: (string | (Partial<LedgerStatement> & { text: string }))[]) {
  const ledger = new Ledger()
  await ledger.request('POST', '/notes', async () => {
    for (const each of statements) {
      ledger.record({ params: [], ms: 0, depth: 0, ...(typeof each === 'string' ? { text: each } : each) })
    }
    return new Response()
  })
  return ledger
}

const findings = async (ledger: Promise<Ledger>, options: Partial<LintOptions> = {}) =>
  linter({ tenantColumn: 'tenant_id', ...options }, tables)(await ledger).map(({ lint }) => lint)

describe('a statement on tables of tenants', () => {
  test.each(bound.map((text): [string] => [text]))('says whose rows it means: %s', (text) => {
    const found = unboundTables(text, tenant)

    expect(found).toEqual([])
  })

  test.each(unbound)('does not say whose rows it means: %s (%s)', (text, named) => {
    const found = unboundTables(text, tenant)

    expect(found.sort().join()).toBe(named)
  })
})

describe('the tables of tenants', () => {
  test('are those that have the column', async () => {
    await using database = await ownDatabase()

    const found = await tablesWith(database.root.session, runDatabase.dialect, 'tenant_id')

    const declared = Object.values(schema)
      .filter((table) => is(table, Table))
      .filter((table) => 'tenant_id' in getTableColumns(table))
    expect(found.sort()).toEqual(declared.map(getTableName).sort())
    expect(found).toContain('conversations')
    expect(found).not.toContain('tenants')
  })
})

describe('lints that would look at nothing', () => {
  const { dialect } = runDatabase

  test('are refused where no table has the column', async () => {
    await using database = await ownDatabase()
    const { session } = database.root

    const finding = tenantTables(session, dialect, { tenantColumn: 'tennant_id' })

    await expect(finding).rejects.toThrow('lints: no table has the column "tennant_id".')
    expect(await tenantTables(session, dialect, { tenantColumn: 'tenant_id' })).toContain('conversations')
  })

  test('are refused where a table that they name does not have it', async () => {
    await using database = await ownDatabase()
    const { session } = database.root

    const finding = tenantTables(session, dialect, { tenantColumn: 'tenant_id', tables: ['users', 'mesages'] })

    await expect(finding).rejects.toThrow('lints: no table "mesages" has the column "tenant_id".')
    const right = { tenantColumn: 'TENANT_ID', tables: ['Users', 'messages'] }
    expect(await tenantTables(session, dialect, right)).toEqual(['Users', 'messages'])
  })
})

describe('the lints of a request', () => {
  test('find what says of no tenant', async () => {
    const found = await findings(ledgerOf(read, write))

    expect(found).toEqual(['no-tenant'])
  })

  test('find two writes that are not in one transaction', async () => {
    const apart = await findings(ledgerOf(write, write))
    const halfIn = await findings(ledgerOf({ text: write, depth: 1 }, write))
    const together = await findings(ledgerOf({ text: write, depth: 1 }, { text: write, depth: 2 }))

    expect([apart, halfIn, together]).toEqual([['not-in-one-transaction'], ['not-in-one-transaction'], []])
  })

  test('count a write that failed as none', async () => {
    const found = await findings(ledgerOf(write, { text: write, error: 'UNIQUE constraint failed' }))

    expect(found).toEqual([])
  })

  test('count a write that was undone as none, and one that returned no row', async () => {
    const none = 'update "messages" set "read" = true where "tenant_id" = $1 and "id" = $2 returning "id"'

    const found = [
      await findings(ledgerOf(write, { text: write, undone: true })),
      await findings(ledgerOf(write, { text: none, rows: [] })),
      await findings(ledgerOf(write, { text: none, rows: [['7']] })),
    ]

    expect(found).toEqual([[], [], ['not-in-one-transaction']])
  })

  test.each([
    `insert into "messages" ("text") values ('returning soon')`,
    'update "messages" set "returning" = $1 where "tenant_id" = $2',
    'delete from "messages" where "tenant_id" = $1 /* returning nothing */',
  ])('know that a write which only speaks of returning may have written: %s', async (text) => {
    const found = await findings(ledgerOf(write, { text, rows: [] }))

    expect(found).toContain('not-in-one-transaction')
  })

  test('count a write in a WITH', async () => {
    const gone = 'with gone as (delete from "messages" where "tenant_id" = $1 returning "id") select * from gone'

    const found = await findings(ledgerOf(write, gone))

    expect(found).toEqual(['not-in-one-transaction'])
  })

  test('find the outer handle in a transaction', async () => {
    const found = await findings(ledgerOf({ text: 'select 1', outside: true }))

    expect(found).toEqual(['outer-handle'])
  })

  test('leave alone what the test itself asks', async () => {
    const ledger = new Ledger()
    ledger.record({ text: read, params: [], ms: 0, depth: 0 })

    const found = linter({ tenantColumn: 'tenant_id' }, tables)(ledger)

    expect(found).toEqual([])
  })
})

describe('what is allowed', () => {
  test('is what the statement and the request say, and nothing else', async () => {
    const allow = [
      { lint: 'no-tenant', statement: /"conversations"/, request: /^POST \/notes/, because: 'a report' },
    ] as const

    const allowed = await findings(ledgerOf(read), { allow })
    const other = await findings(ledgerOf('select * from users'), { allow })
    const elsewhere = await findings(ledgerOf(read), { allow: [{ ...allow[0], request: /^GET / }] })

    expect([allowed, other, elsewhere]).toEqual([[], ['no-tenant'], ['no-tenant']])
  })

  test('needs a reason', () => {
    const make = (because: string) => () =>
      linter({ tenantColumn: 'tenant_id', allow: [{ lint: 'no-tenant', because }] }, [])

    expect(make(' ')).toThrow('Something is allowed to the lint no-tenant without a reason: say it in `because`.')
    expect(make('the only tenant')).not.toThrow()
  })
})

describe('the error of the lints', () => {
  test('says once what is wrong, where, and what to do if it is right', async () => {
    const found = linter({ tenantColumn: 'tenant_id' }, tables)(await ledgerOf(read, read))

    const error = lintError(found)

    expect(error?.message).toBe(
      'Rows of "conversations" are read or written without saying of which tenant_id.\n' +
        `  no-tenant, in POST /notes: ${read}\n` +
        "If this is right, say why in the kit's options: lints: { allow: [{ lint: 'no-tenant', statement: /.../, because: '...' }] }.",
    )
  })

  test('is none where nothing was found', async () => {
    const found = linter({ tenantColumn: 'tenant_id' }, tables)(await ledgerOf(write))

    const error = lintError(found)

    expect(error).toBeUndefined()
  })
})

describe('a test whose request asks for conversations', () => {
  const asking = (ledger: Ledger, condition: SQL | undefined) =>
    ledger.request('GET', '/report', async () => {
      await database.select().from(conversations).where(condition)
      return new Response()
    })

  test('passes when it says of which tenant', async ({ ledger, tenantA }) => {
    await asking(ledger, eq(conversations.tenant_id, tenantA.id))

    expect(ledger.requests).toHaveLength(1)
  })

  test.failing('fails at its end when it does not', async ({ ledger }) => {
    await asking(ledger, undefined)

    expect(ledger.requests).toHaveLength(1)
  })
})

describe('a request of the service', () => {
  test('is linted with the tables of its database', async ({ adminA, ledger }) => {
    await adminA.get('/api/v1/conversations')
    const lint = linter({ tenantColumn: 'tenant_id' }, ['conversations'])
    /** The same where the first, or the second, condition does not say whose rows are meant. */
    const blind = (which: number) => {
      const blinded = (text: string) => {
        let seen = 0
        return text.replace(/"tenant_id" = \S+/g, (condition) => (seen++ === which ? '"id" = $1' : condition))
      }
      const requests = ledger.requests.map(({ statements, ...request }) => ({
        ...request,
        statements: statements.map(({ text, ...each }) => ({ ...each, text: blinded(text) })),
      }))
      return Object.assign(new Ledger(), { requests })
    }

    const found = [ledger, blind(0), blind(1)].map((each) => lint(each).map(({ lint: name }) => name))

    expect(found).toEqual([[], ['no-tenant'], ['no-tenant']])
  })
})
