import { and, asc, eq, gt, lt, sql } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import { type Database, oncePerDatabase } from '../database/database'
import { request_records } from '../database/tables'
import { beginOf, dayAfter, daysOf, leastIdAt, type Range } from '../day'
import type { Clock } from '../ids'
import { describe, type Reporter } from '../reporter'
import { csvLine } from './csv'
import { DaySummary, type ExportQuery, RouteSummary } from './schema'
import { analyticsStore } from './store'

type Deps = { database: Database; clock: Clock; reporter: Reporter }
type Row = Record<string, string | number | null>

/** Rows of the raw records in one step, and days of the rollups: what is in memory at one time. */
const rowsAtOnce = 250
const daysAtOnce = 31
/**
 * Small collections keep what they find in use, the page of the moment, until the next full one, which the collector puts
 * off until there are 90 MB of that. A full one takes about as long as a few pages.
 */
const pagesPerCollection = 100

/**
 * A file that is made while it is read, and no faster. Every step is a query of its own, so no transaction stays open for
 * as long as the reader takes. The name is made of checked days only.
 */
export function exportOf(
  deps: Deps,
  principal: Principal,
  query: ExportQuery,
): { response: Response; finished: Promise<void> } {
  const { format = 'csv', rows = 'days' } = query
  const range = analyticsStore(deps, principal).range(query)
  const { columns, pages } = kinds[rows]
  const all = pages(deps, principal, range)
  const { body, finished } = streamOf(format === 'csv' ? csvOf(columns, all) : jsonOf(all), deps.reporter)
  const name = `${rows}-${range.start_date}-to-${range.end_date}.${format}`
  const response = new Response(body, {
    headers: {
      'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/json',
      'content-disposition': `attachment; filename="${name}"`,
      'cache-control': 'no-store',
    },
  })
  return { response, finished }
}

type Pages = AsyncGenerator<Row[]>
type Kind = {
  columns: readonly string[]
  pages: (deps: Deps, principal: Principal, range: Range) => Pages
}

async function* dayPages(deps: Deps, principal: Principal, range: Range): Pages {
  for (const part of parts(range)) yield await analyticsStore(deps, principal).daily(part)
}

async function* routePages(deps: Deps, principal: Principal, range: Range): Pages {
  for (const part of parts(range)) yield await analyticsStore(deps, principal).routesByDay(part)
}

function* parts(range: Range): Generator<Range> {
  const days = daysOf(range)
  for (let at = 0; at < days.length; at += daysAtOnce) {
    const part = days.slice(at, at + daysAtOnce)
    yield { start_date: part.at(0) ?? '', end_date: part.at(-1) ?? '' }
  }
}

const given = sql.placeholder

const queries = oncePerDatabase((database) => ({
  requests: database
    .select({
      id: request_records.id,
      created_at: request_records.created_at,
      user_id: request_records.user_id,
      method: request_records.method,
      route: request_records.route,
      status: request_records.status,
      duration_us: request_records.duration_us,
    })
    .from(request_records)
    .where(
      and(
        eq(request_records.tenant_id, given('tenant_id')),
        gt(request_records.id, given('after')),
        lt(request_records.id, given('before')),
      ),
    )
    .orderBy(asc(request_records.id))
    .limit(rowsAtOnce)
    .prepare('export_requests'),
}))

/** Ids begin with the time, so they are both the range and the place where the next page begins. */
async function* requestPages({ database }: Deps, { tenant_id }: Principal, { start_date, end_date }: Range): Pages {
  const before = leastIdAt(beginOf(dayAfter(end_date)))
  let after: string | undefined = leastIdAt(beginOf(start_date))
  for (let page = 1; after !== undefined; page++) {
    if (page % pagesPerCollection === 0) Bun.gc(true)
    const rows = await queries(database).requests.execute({ tenant_id, after, before })
    yield rows.map(({ id, created_at, duration_us, ...row }) => ({
      id,
      created_at: created_at.toISOString(),
      ...row,
      duration_ms: duration_us / 1000,
    }))
    after = rows.length < rowsAtOnce ? undefined : rows.at(-1)?.id
  }
}

async function* csvOf(columns: readonly string[], pages: Pages): AsyncGenerator<string> {
  yield csvLine(columns)
  for await (const rows of pages)
    yield rows.map((row) => csvLine(columns.map((column) => row[column] ?? null))).join('')
}

async function* jsonOf(pages: Pages): AsyncGenerator<string> {
  let before = '['
  for await (const rows of pages) {
    if (rows.length === 0) continue
    yield before + rows.map((row) => JSON.stringify(row)).join(',\n')
    before = ',\n'
  }
  yield before === '[' ? '[]' : ']'
}

const kinds: Record<'days' | 'routes' | 'requests', Kind> = {
  days: { columns: Object.keys(DaySummary.properties), pages: dayPages },
  routes: { columns: ['date', ...Object.keys(RouteSummary.properties)], pages: routePages },
  requests: {
    columns: ['id', 'created_at', 'user_id', 'method', 'route', 'status', 'duration_ms'],
    pages: requestPages,
  },
}

/** Asks for the next piece when the reader has taken the one before. */
function streamOf(
  pieces: AsyncGenerator<string>,
  reporter: Reporter,
): { body: ReadableStream<Uint8Array>; finished: Promise<void> } {
  const encoder = new TextEncoder()
  const finished = Promise.withResolvers<void>()
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { value, done } = await pieces.next()
          if (!done) return controller.enqueue(encoder.encode(value))
          controller.close()
        } catch (error) {
          reporter.warn(`An export broke off: ${describe(error)}`)
          // The reader sees a file that broke off, which a whole one never looks like.
          controller.error(error)
        }
        finished.resolve()
      },
      async cancel() {
        finished.resolve()
        await pieces.return(undefined)
      },
    },
    { highWaterMark: 1 },
  )
  return { body, finished: finished.promise }
}
