import type { DaySummary, ModelSummary, RouteSummary, Summary, UserSummary } from '../../analytics/schema'
import type { Range } from '../../day'
import type { Me } from '../../users/schema'

/** Why there is nothing to show, in words for the reader. */
export class Failure extends Error {
  override readonly name = 'Failure'
  constructor(
    readonly kind: 'unauthenticated' | 'forbidden' | 'refused' | 'unreachable',
    message: string,
  ) {
    super(message)
  }
}

type Asking = { token: string; signal?: AbortSignal }

async function ask(path: string, { token, signal }: Asking): Promise<Response> {
  const response = await fetch(path, {
    headers: { authorization: `Bearer ${token}` },
    credentials: 'omit',
    cache: 'no-store',
    ...(signal && { signal }),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error
    throw new Failure('unreachable', 'The server cannot be reached. Is it running, and are you connected?')
  })
  if (response.ok) return response
  const kinds = { 401: 'unauthenticated', 403: 'forbidden' } as const
  const { detail } = await response.json().catch(() => ({ detail: undefined }))
  throw new Failure(
    response.status === 401 || response.status === 403 ? kinds[response.status] : 'refused',
    typeof detail === 'string' ? detail : `The server answered with the status ${response.status}.`,
  )
}

const json = async <Body>(path: string, asking: Asking): Promise<Body> => await (await ask(path, asking)).json()

/** How many routes and users are shown. */
export const most = 10

export type Person = Pick<Me, 'tenant' | 'role' | 'permissions'>
export type Figures = {
  range: Range
  me: Person
  summary: Summary
  daily: DaySummary[]
  routes: RouteSummary[]
  models: ModelSummary[]
  /** Undefined for those who may not see them. */
  users: { top: UserSummary[]; total: number } | undefined
}

/** All that the page shows of a range of days. Throws Failure. */
export async function loadFigures(range: Range, asking: Asking): Promise<Figures> {
  const query = new URLSearchParams(range)
  const analytics = <Body>(name: string) => json<Body>(`/api/v1/analytics/${name}?${query}`, asking)
  const me = await json<Person>('/api/v1/me', asking)
  const [summary, daily, routes, models, users] = await Promise.all([
    analytics<Summary>('summary'),
    analytics<DaySummary[]>('daily'),
    analytics<RouteSummary[]>('routes'),
    analytics<ModelSummary[]>('models'),
    me.permissions.includes('analytics:users') ? loadUsers(query, asking) : undefined,
  ])
  return { range, me, summary, daily, routes, models, users }
}

async function loadUsers(query: URLSearchParams, asking: Asking): Promise<Figures['users']> {
  const response = await ask(`/api/v1/analytics/users?${query}&limit=${most}`, asking)
  const top: UserSummary[] = await response.json()
  return { top, total: Number(response.headers.get('x-total-count')) }
}

export type Export = { rows: 'days' | 'routes' | 'requests'; format: 'csv' | 'json' }

/** Through fetch, because a link cannot carry the token. Returns the name of the file that the browser keeps. */
export async function download({ rows, format }: Export, range: Range, asking: Asking): Promise<string> {
  const response = await ask(`/api/v1/analytics/export?${new URLSearchParams({ ...range, rows, format })}`, asking)
  const named = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1]
  const name = named ?? `${rows}.${format}`
  const blob = await response.blob().catch(() => {
    throw new Failure('unreachable', 'The file broke off on its way; try again.')
  })
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  // The browser has taken the file by then, and would keep it in memory for as long as the page lives.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
  return name
}
