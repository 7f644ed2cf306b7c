import { Value } from '@sinclair/typebox/value'
import { and, count, eq, max, ne, or } from 'drizzle-orm'
import { insertAll } from '../database/bulk'
import { type TenantTable, tenantTables } from '../database/catalogue'
import type { Database } from '../database/database'
import { migrations } from '../database/migrations'
import { acrossTenants } from '../database/reach'
import { conversations, messages, tenants } from '../database/tables'
import { AppError, conflict, failureCode, malformed } from '../errors'
import { isId } from '../ids'
import { SealError, type Sealer } from '../sealing'
import { requireSlug } from '../tenants/store'
import { format, formatVersion, Header, type Row, readRow, tableWithSecrets, withoutSecrets } from './archive'
import { type Line, readLines } from './lines'

type Importing = {
  file: string
  /** Instead of the archive's own. */
  slug: string | undefined
  leaveSecrets: boolean
  sealer: Sealer
}

const rowsAtOnce = 200

/**
 * Makes the tenant of an archive, with the ids it had; says in words what was read. All in one transaction: where anything
 * is wrong with the archive, nothing of it is there afterwards.
 */
export async function importTenant(database: Database, importing: Importing): Promise<string> {
  const { file } = importing
  try {
    const reading = () => database.transaction(() => read(database, importing))
    return await acrossTenants('ids and slugs are free, or those of any tenant', reading)
  } catch (error) {
    if (error instanceof AppError)
      throw new AppError(error.code, `${file}: ${error.message.replace(/\.$/, '')}; nothing was imported`)
    const code = failureCode(error) ?? ''
    if (/^E[A-Z]+$/.test(code) && !/^ECONN/.test(code)) throw new Error(`${file} cannot be read: ${code}`)
    throw error
  }
}

async function read(database: Database, importing: Importing): Promise<string> {
  await using lines = readLines(importing.file)
  const first = await lines.next()
  const header = readHeader(first.done ? undefined : first.value.value)
  await requireFree(database, 'id', header.tenant.id)
  const counts = new Map<string, number>()
  let slug = header.tenant.slug
  let open: { into: TenantTable; rows: Row[]; line: number } | undefined

  for await (const line of lines) {
    const { into, row } = await readLine(importing, header, line)
    if (open && (open.into !== into || open.rows.length === rowsAtOnce)) {
      await store(open)
      open = undefined
    }
    // Its triggers would add to what the archive has said already.
    if (!into.byTriggers && tenantTables.some(({ name, byTriggers }) => byTriggers && counts.has(name)))
      throw malformed(`line ${line.number}: ${into.name} has a row that comes too late`)
    if (into.byTriggers && !counts.has(into.name)) await clear(database, into, header.tenant.id)
    if (into.table === tenants) {
      slug = requireSlug(importing.slug ?? String(row.slug))
      row.slug = slug
      await requireFree(database, 'slug', slug)
    }
    open ??= { into, rows: [], line: line.number }
    open.rows.push(row)
    open.line = line.number
    counts.set(into.name, (counts.get(into.name) ?? 0) + 1)
  }
  if (open) await store(open)
  requireAll(header, counts)
  await requireCounted(database, header.tenant.id)
  const rows = [...counts.values()].reduce((sum, each) => sum + each, 0)
  return `Imported ${slug} (${header.tenant.id}): ${rows} rows.`
}

function readHeader(value: unknown): Header {
  const said = (name: string) => (typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined)
  if (said('format') !== format) throw malformed('this is no archive of a tenant')
  if (said('version') !== formatVersion)
    throw malformed(`this Tenantry reads version ${formatVersion} of the archive, and this is another one`)
  if (!Value.Check(Header, value) || !isId(value.tenant.id)) throw malformed('line 1 is no header of an archive')
  if (!migrations.some(({ tag }) => tag === value.schema))
    throw malformed('it was written by a newer Tenantry; bring this one up to date first')
  return value
}

async function readLine(importing: Importing, { tenant }: Header, { number, value }: Line) {
  const fields = typeof value === 'object' && value !== null ? Object.entries(value) : []
  const [[first, name] = [], [second, given] = []] = fields
  const isRow = fields.length === 2 && first === 'table' && second === 'row' && typeof given === 'object' && given
  const into = tenantTables.find((table) => table.name === name)
  if (!isRow || Array.isArray(given)) throw malformed(`line ${number} is no row`)
  if (!into) throw malformed(`line ${number} is of a table that is not known here`)
  try {
    const read = readRow(into, given as Row)
    const row = importing.leaveSecrets ? withoutSecrets(into.name, read) : read
    if (row[into.owner.name] !== tenant.id) throw malformed(`${into.name} has a row of another tenant`)
    if (into.name === tableWithSecrets) requireKey(importing.sealer, row)
    return { into, row }
  } catch (error) {
    if (error instanceof AppError) throw new AppError(error.code, `line ${number}: ${error.message}`)
    throw error
  }
}

/** A secret that nobody here can open would keep every server of this database from starting. */
function requireKey(sealer: Sealer, { tenant_id, name, sealed_secrets, key_id }: Row): void {
  if (sealed_secrets === null && key_id === null) return
  try {
    sealer.open(String(sealed_secrets), [String(tenant_id), String(name)])
    if (!String(sealed_secrets).startsWith(`1.${key_id}.`)) throw new SealError('This names another key than its own.')
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    throw conflict(`a secret cannot be opened (${error.message}) Import --without-secrets, or give the key`)
  }
}

/** The archive has what triggers wrote once; here they have just written some of it again. */
const clear = (database: Database, { table, owner }: TenantTable, tenant_id: string) =>
  database.delete(table).where(eq(owner, tenant_id))

async function requireFree(database: Database, name: 'id' | 'slug', value: string): Promise<void> {
  const taken = await database.select({ id: tenants.id }).from(tenants).where(eq(tenants[name], value))
  if (taken.length === 0) return
  throw conflict(
    name === 'id'
      ? `the tenant ${value} is there already; erase it first`
      : `there is a tenant with the slug ${value} already; give another one with --slug`,
  )
}

async function store({ into, rows, line }: { into: TenantTable; rows: Row[]; line: number }): Promise<void> {
  try {
    await insertAll(into.table, rows as (typeof tenants.$inferInsert)[])
  } catch (error) {
    const code = failureCode(error) ?? ''
    // A clash with what others write is none of the archive's: the transaction is done again.
    if (!/^(SQLITE_CONSTRAINT|22|23)/.test(code)) throw error
    throw malformed(`the rows of ${into.name} up to line ${line} do not fit together (${code})`)
  }
}

function requireAll({ counts }: Header, read: Map<string, number>): void {
  if (read.get('tenants') !== 1) throw malformed('it has not the one tenant that it is of')
  for (const name of new Set([...Object.keys(counts), ...read.keys()])) {
    const [said, found] = [counts[name] ?? 0, read.get(name) ?? 0]
    if (said !== found) throw malformed(`it has ${found} rows of ${name}, and its header says ${said}`)
  }
}

/** A conversation counts where its next message goes, so with another count it could take none. */
async function requireCounted(database: Database, tenant_id: string): Promise<void> {
  const { message_count } = conversations
  const wrong = await database
    .select({ id: conversations.id })
    .from(conversations)
    .leftJoin(
      messages,
      and(eq(messages.tenant_id, conversations.tenant_id), eq(messages.conversation_id, conversations.id)),
    )
    .where(eq(conversations.tenant_id, tenant_id))
    .groupBy(conversations.tenant_id, conversations.id)
    .having(or(ne(message_count, count(messages.id)), ne(message_count, max(messages.position))))
    .limit(1)
  if (wrong.length > 0) throw malformed('a conversation has other messages than it counts')
}
