import type { Session } from '../database/session'
import { onceForEach } from './by-text'
import { hasWritten, type Ledger, type LedgerRequest, type LedgerStatement } from './ledger'
import { type TenantTables, unboundTables } from './tenant-predicates'

export type Lint = 'no-tenant' | 'not-in-one-transaction' | 'outer-handle'

/** What is right although a lint finds it. `statement` and `request` (`POST /api/v1/chat`) narrow what it is about. */
export type Allowed = { lint: Lint; statement?: RegExp; request?: RegExp; because: string }

export type LintOptions = {
  /** The column that says whose a row is. */
  tenantColumn: string
  /** The tables that have tenants' rows; all that have the column, unless said otherwise. */
  tables?: readonly string[]
  allow?: readonly Allowed[]
}

/** What a lint found, in words for the person who reads it. */
export type Finding = { lint: Lint; request: string; statement: string; message: string }

/** Looks at all that the requests of a test asked the database. What the test itself asks is its own business. */
export type Linter = (ledger: Ledger) => Finding[]

/** Throws where something is allowed without a reason. */
export function linter({ tenantColumn, allow = [] }: LintOptions, tables: readonly string[]): Linter {
  for (const { because, lint } of allow) {
    if (because.trim() === '')
      throw new Error(`Something is allowed to the lint ${lint} without a reason: say it in \`because\`.`)
  }
  const tenant: TenantTables = {
    column: tenantColumn.toLowerCase(),
    tables: new Set(tables.map((table) => table.toLowerCase())),
  }
  const unbound = onceForEach((text) => unboundTables(text, tenant))
  return ({ requests }) =>
    requests
      .flatMap((request) => [
        ...withoutTenant(request, tenant.column, unbound),
        ...inPieces(request),
        ...outside(request),
      ])
      .filter((finding) => !allow.some((each) => covers(each, finding)))
}

/** The tables of a database that have this column. */
export async function tablesWith(session: Session, dialect: 'sqlite' | 'postgres', column: string): Promise<string[]> {
  const text =
    dialect === 'postgres'
      ? `select table_name as name from information_schema.columns where lower(column_name) = $1 and table_schema not in ('pg_catalog', 'information_schema')`
      : `select sqlite_schema.name from sqlite_schema, pragma_table_info(sqlite_schema.name) as info where lower(info.name) = ? and sqlite_schema.type = 'table'`
  const rows = (await session.run({ text, params: [column.toLowerCase()], shape: 'objects' })) as { name: string }[]
  return rows.map(({ name }) => name)
}

/** The tables that the lints are about. Throws where they would look at nothing, as after a typing mistake. */
export async function tenantTables(
  session: Session,
  dialect: 'sqlite' | 'postgres',
  { tenantColumn, tables }: LintOptions,
): Promise<readonly string[]> {
  const found = await tablesWith(session, dialect, tenantColumn)
  const having = new Set(found.map((table) => table.toLowerCase()))
  const missing = tables?.find((table) => !having.has(table.toLowerCase()))
  if (missing !== undefined) throw new Error(`lints: no table "${missing}" has the column "${tenantColumn}".`)
  if (found.length === 0) throw new Error(`lints: no table has the column "${tenantColumn}".`)
  return tables ?? found
}

/** One error for all findings, each once. Undefined when there are none. */
export function lintError(findings: readonly Finding[]): Error | undefined {
  if (findings.length === 0) return undefined
  const different = [...new Map(findings.map((finding) => [`${finding.lint} ${finding.statement}`, finding])).values()]
  const list = different.map(
    ({ lint, request, statement, message }) => `${message}\n  ${lint}, in ${request}: ${statement}`,
  )
  return new Error(
    `${list.join('\n')}\nIf this is right, say why in the kit's options: lints: { allow: [{ lint: '${different[0]?.lint}', statement: /.../, because: '...' }] }.`,
  )
}

function withoutTenant(request: LedgerRequest, column: string, unbound: (text: string) => string[]): Finding[] {
  return request.statements.flatMap((statement) =>
    unbound(statement.text).map((table) =>
      finding(
        'no-tenant',
        request,
        statement,
        `Rows of "${table}" are read or written without saying of which ${column}.`,
      ),
    ),
  )
}

/** If the process ends between two writes, there is only the first. Transactions of their own are somebody's decision. */
function inPieces(request: LedgerRequest): Finding[] {
  const writes = request.statements.filter(hasWritten)
  const alone = writes.filter(({ depth }) => depth === 0)
  const [first] = alone
  if (!first || writes.length < 2) return []
  const message = `${writes.length} writes of one request are not in one transaction: a failure between them leaves half of it.`
  return [finding('not-in-one-transaction', request, first, message)]
}

function outside(request: LedgerRequest): Finding[] {
  return request.statements
    .filter((statement) => statement.outside)
    .map((statement) =>
      finding(
        'outer-handle',
        request,
        statement,
        'Code in a transaction asked through the outer handle: that is another connection, which does not see what the transaction did and is not undone with it.',
      ),
    )
}

const finding = (lint: Lint, { method, path }: LedgerRequest, { text }: LedgerStatement, message: string): Finding => ({
  lint,
  request: `${method} ${path}`,
  statement: text.replace(/\s+/g, ' ').trim(),
  message,
})

const covers = ({ lint, statement, request }: Allowed, found: Finding): boolean =>
  lint === found.lint && (statement?.test(found.statement) ?? true) && (request?.test(found.request) ?? true)
