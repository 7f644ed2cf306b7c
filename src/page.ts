import { invalid } from './errors'

export type PageQuery = { limit?: number; offset?: number; cursor?: string }

/** Rows of one page, how many there are on all of them, and where the next one begins. */
export type Page<Row> = { rows: Row[]; total: number; next: string | undefined }

export const defaultLimit = 20

/** Cuts what was read to the page: read one row more than `limit`, and it says whether there is another page. */
export function paged<Row>(
  read: Row[],
  { limit = defaultLimit }: PageQuery,
  total: number,
  cursorOf: (row: Row) => string,
): Page<Row> {
  const rows = read.slice(0, limit)
  const last = rows.at(-1)
  return { rows, total, next: read.length > limit && last !== undefined ? encodeCursor(cursorOf(last)) : undefined }
}

/** Cursors of lists that are ordered by id. */
export const idCursor = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const encodeCursor = (text: string): string => Buffer.from(text).toString('base64url')

/** What `paged` made of a row. `accept` says whether it can have. */
export function decodeCursor(cursor: string, accept: RegExp): string {
  const text = Buffer.from(cursor, 'base64url').toString()
  if (!accept.test(text))
    throw invalid([{ in: 'query', path: '/cursor', message: 'is not a cursor that a Link header gave' }])
  return text
}

/** Lists are bare arrays; their total and next page travel in headers. Whoever pages by offset is sent on by offset. */
export function answerPage<Row>(
  { rows, total, next }: Page<Row>,
  query: PageQuery,
  { request, set }: { request: Request; set: { headers: Record<string, unknown> } },
): Row[] {
  set.headers['x-total-count'] = String(total)
  if (next !== undefined) {
    const url = new URL(request.url)
    if (query.offset === undefined) url.searchParams.set('cursor', next)
    else url.searchParams.set('offset', String(query.offset + rows.length))
    set.headers.link = `<${url.pathname}${url.search}>; rel="next"`
  }
  return rows
}
