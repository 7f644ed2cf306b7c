import type { Client, ClientResponse } from './client'
import type { World } from './kit'
import { type LedgerStatement, writing } from './ledger'
import {
  type AnyRoute,
  failWith,
  gaps,
  isEndless,
  keyOf,
  patient,
  type Register,
  readAnswer,
  requireStreams,
  type Streams,
  swept,
  usualListenMs,
} from './routes'

/** What one tenant could name of another: ids, words that stand for them, cursors. */
export type Names = Record<string, string>
/** A request in which such names stand, anywhere. */
export type Attempt = { path: string; body?: unknown; headers?: Record<string, string> }

export type IsolationSweep<All, Given extends Names> = Streams & {
  routes: readonly AnyRoute[]
  /** An all-powerful client of the tenant whose things are asked for, and one of the tenant that asks for them. */
  owner(all: All): Client
  stranger(all: All): Client
  /**
   * Makes a tenant's things, for both with the same human values, but for `canary('title')`, which is another string for
   * each tenant and stands in every field that takes one. Returns what they are called.
   */
  plant(all: All, client: Client, canary: (field: string) => string): Promise<Given>
  /** Names that look like these and belong to nobody. */
  nobodys(names: Given): Given
  /** Paths at which a tenant sees all of its own things, every canary among them. */
  sees(names: Given): string[]
  /** All rows of the owner's as they are stored. */
  rows(all: All): Promise<unknown>
  /** For each route, by `METHOD /path`: how it could be asked for somebody else's things, and what the owner gets for the first of it. */
  entries: Record<string, { owner: number; attempts(names: Given): Attempt[] }>
  /** Fields that could be believed where nobody expects them: tried everywhere as query parameter, header and body field. */
  smuggled(names: Given): Record<string, string>
  /** What differs from request to request, in the text of an answer and in its headers. */
  volatile?: readonly RegExp[]
  volatileHeaders?: readonly string[]
  /** Before every request, for example to script the model. */
  each?(all: All): void
}

/**
 * Registers a test for each route: the stranger asks it for the owner's things in every way. No byte of the owner's is
 * in an answer, in a row that was read, or in what was sent to the model or to others; the answers are the same as for
 * names that nobody has, and as if the owner were not there; the owner's rows stay. And the owner sees all of it.
 */
export function isolationSweep<All extends World, Given extends Names>(
  test: Register<All>,
  options: IsolationSweep<All, Given>,
): void {
  const { routes, entries } = options
  requireStreams(routes, options)
  test('knows every route', () => failWith('The isolation sweep is not complete.', gaps(routes, entries)))

  for (const route of swept(routes)) {
    const entry = entries[keyOf(route)]
    if (!entry) continue // told above
    const check = async (all: All) =>
      failWith(`${keyOf(route)} does not keep tenants apart.`, await new Sweep(all, options, route).problems(entry))
    test(`${keyOf(route)} keeps tenants apart`, check, patient)
  }
}

class Sweep<All extends World, Given extends Names> {
  readonly #own: string[] = []

  constructor(
    private readonly all: All,
    private readonly options: IsolationSweep<All, Given>,
    private readonly route: AnyRoute,
  ) {}

  async problems({
    owner: ownersStatus,
    attempts,
  }: {
    owner: number
    attempts(names: Given): Attempt[]
  }): Promise<string[]> {
    const { plant, nobodys, rows, sees, volatile = [] } = this.options
    const { clock } = this.all
    const [owner, stranger] = [this.options.owner(this.all), this.options.stranger(this.all)]
    const strangers = await plant(this.all, stranger, (field) => `canary-${field}-1b7e`)
    const ask = (names: Given) => this.#askAll(stranger, attempts(names), names)

    const at = clock.now().getTime()
    const alone = await ask(nobodys(strangers))
    const theirs = await plant(this.all, owner, (field) => this.#mark(`canary-${field}-0a4d`))
    await this.all.settle() // what comes of it later would look like what the other tenant did
    clock.advance({ ms: at - clock.now().getTime() }) // so that answers differ by nothing that the time explains
    const before = JSON.stringify(await rows(this.all))
    const secrets = [...this.#own, ...Object.values(theirs)]
    const answers = await ask(theirs)
    const forNobody = await ask(nobodys(theirs))
    const together = await ask(nobodys(strangers))

    const [first] = attempts(theirs)
    const owners = first && (await this.#ask(owner, first))
    const seen = (await Promise.all(sees(theirs).map((path) => owner.get(path))))
      .map((answer) => JSON.stringify(answer))
      .join()
    const text = (asked: Asked, names: Given) => comparable(asked, names, volatile)
    return [
      ...answers.flatMap((asked) => leaks(asked, secrets)),
      ...answers
        .filter(({ rowsAfter }) => rowsAfter !== undefined && rowsAfter !== before)
        .map(({ attempt }) => `${show(attempt)} changed rows of the owner.`),
      ...differences(
        answers,
        forNobody,
        (asked, isFirst) => text(asked, isFirst ? theirs : nobodys(theirs)),
        'for names that nobody has',
      ),
      ...differences(together, alone, (asked) => text(asked, nobodys(strangers)), 'without the other tenant'),
      ...(owners?.answer.status === ownersStatus
        ? []
        : [
            `The owner got ${owners?.answer.status} for ${first && show(first)}, not ${ownersStatus}: nothing shows that the attempts are right.`,
          ]),
      ...(owners && isEndless(this.route, this.options) && isSilent(owners.answer)
        ? [
            `The owner heard nothing of it in ${this.options.listenMs ?? usualListenMs} ms: nothing shows what others would hear. Listen longer (listenMs), or let something happen (plant, each).`,
          ]
        : []),
      ...this.#own
        .filter((canary) => !seen.includes(canary))
        .map((canary) => `The owner does not see its own ${canary}.`),
    ]
  }

  #mark(canary: string): string {
    this.#own.push(canary)
    return canary
  }

  async #askAll(client: Client, attempts: readonly Attempt[], names: Given): Promise<Asked[]> {
    const [first] = attempts
    const asked: Asked[] = []
    const variants = first
      ? [...smuggling(first, this.options.smuggled(names)), ...swapped(first, this.route, this.options.smuggled(names))]
      : []
    for (const attempt of [...attempts, ...variants]) asked.push(await this.#ask(client, attempt))
    return asked
  }

  /** Each from the same state. */
  #ask(client: Client, attempt: Attempt): Promise<Asked> {
    const { provider, http, ledger } = this.all
    const { rows, each } = this.options
    return this.all.rewind(async () => {
      const [requests, own] = [ledger.requests.length, ledger.own.length]
      const [asked, sent] = [provider.asked.length, http.sent.length]
      each?.(this.all)
      const { path, body, headers } = attempt
      const { method } = this.route
      const response = await client.send(method === 'ALL' ? 'GET' : method, path, { body, ...(headers && { headers }) })
      const answer = await readAnswer(this.route, response, this.options)
      await this.all.settle()
      provider.forget()
      // Hundreds of them; what is wrong with one is in its own words.
      const statements = ledger.requests.splice(requests).flatMap((request) => request.statements)
      // What wrote nothing has changed nothing.
      const hasWritten = statements.some(({ text }) => writing.test(text))
      const rowsAfter = hasWritten ? JSON.stringify(await rows(this.all)) : undefined
      ledger.own.splice(own)
      return {
        attempt,
        answer,
        statements,
        raw: rawOf(answer, this.options.volatileHeaders ?? []),
        rowsAfter,
        sent: JSON.stringify([
          provider.asked.slice(asked).map(({ request }) => request),
          await Promise.all(http.sent.slice(sent).map(textOf)),
        ]),
      }
    })
  }
}

const isSilent = ({ body }: ClientResponse): boolean => body === undefined || (Array.isArray(body) && body.length === 0)

const textOf = async (request: Request) => [request.url, [...request.headers], await request.clone().text()]

type Asked = {
  attempt: Attempt
  answer: ClientResponse
  /** All of the answer but its volatile headers. */
  raw: string
  statements: readonly LedgerStatement[]
  /** What left the process because of it, as text. */
  sent: string
  /** The owner's rows, where anything was written. */
  rowsAfter: string | undefined
}

/** What of the owner's came out somewhere and was not in the request. */
function leaks({ attempt, answer, raw, statements, sent }: Asked, secrets: readonly string[]): string[] {
  const given = JSON.stringify(attempt).toLowerCase()
  const hidden = secrets.filter((secret) => !given.includes(secret.toLowerCase()))
  const inside = (value: unknown) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value, plain)
    const lower = text?.toLowerCase() ?? ''
    return hidden.filter((secret) => lower.includes(secret.toLowerCase()))
  }
  return [
    ...[...inside(raw), ...inside(answer.headers)].map((secret) => `${show(attempt)} answered with ${secret}.`),
    ...inside(sent).map((secret) => `${show(attempt)} sent ${secret} out.`),
    ...statements.flatMap(({ text, rows }) =>
      inside(rows).map((secret) => `${show(attempt)} read ${secret} with: ${text}`),
    ),
  ]
}

/** JSON has no word for what 64-bit columns return. */
const plain = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)

function differences(
  some: readonly Asked[],
  others: readonly Asked[],
  text: (asked: Asked, isFirst: boolean) => string,
  how: string,
): string[] {
  return some.flatMap((asked, at) => {
    const other = others[at]
    if (!other) return [`There are fewer attempts ${how}.`]
    // The whole comparison takes a second for a page of megabytes, and most answers are simply the same.
    if (asked.raw === other.raw) return []
    const [one, two] = [text(asked, true), text(other, false)]
    return one === two ? [] : [`${show(asked.attempt)} is answered differently ${how}:\n    ${one}\n    ${two}`]
  })
}

/** Text as it is: to escape a page of megabytes takes longer than to make it. */
const rawOf = ({ status, headers, body }: ClientResponse, volatile: readonly string[]): string => {
  const kept = Object.entries(headers).filter(([name]) => !volatile.includes(name))
  return `${status} ${JSON.stringify(kept)} ${typeof body === 'string' ? body : JSON.stringify(body)}`
}

/** An answer without what the caller itself sent, and without what differs from request to request. */
function comparable({ raw }: Asked, names: Names, volatile: readonly RegExp[]): string {
  let text = raw
  // Longest first, because one may be a part of another.
  for (const [name, value] of Object.entries(names).sort(([, a], [, b]) => b.length - a.length)) {
    for (const spelling of [value, value.toUpperCase(), encodeURIComponent(value)])
      text = text.replaceAll(spelling, `<${name}>`)
  }
  return volatile.reduce((rest, pattern) => rest.replaceAll(pattern, '<volatile>'), text)
}

/** The same request with one more field, in each place where a field can stand. */
function smuggling({ path, body, headers }: Attempt, fields: Record<string, string>): Attempt[] {
  const rest = { ...(body !== undefined && { body }), ...(headers && { headers }) }
  const inHeaders = Object.fromEntries(
    Object.entries(fields).map(([field, value]) => [`x-${field.replaceAll('_', '-')}`, value]),
  )
  return [
    { ...rest, path, headers: { ...headers, ...inHeaders } },
    ...Object.entries(fields).flatMap(([field, value]) => [
      { ...rest, path: `${path}${path.includes('?') ? '&' : '?'}${field}=${encodeURIComponent(value)}` },
      ...withField(body, field, value).map((more) => ({ ...rest, path, body: more })),
    ]),
  ]
}

/** A value with a field added to one of the objects in it, for each of them. */
function withField(value: unknown, field: string, given: string): unknown[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) {
    return value.flatMap((each, at) => withField(each, field, given).map((more) => value.with(at, more)))
  }
  const inside = Object.entries(value).flatMap(([key, each]) =>
    withField(each, field, given).map((more) => ({ ...value, [key]: more })),
  )
  return [{ ...value, [field]: given }, ...inside]
}

/** The same request with each part of its path that names something naming something else: a parent's id as a child's. */
function swapped(attempt: Attempt, { path: pattern }: AnyRoute, fields: Record<string, string>): Attempt[] {
  const [path = '', search] = attempt.path.split('?')
  const parts = path.split('/')
  return pattern.split('/').flatMap((part, at) =>
    part.startsWith(':')
      ? Object.values(fields).map((value) => ({
          ...attempt,
          path: parts.with(at, encodeURIComponent(value)).join('/') + (search === undefined ? '' : `?${search}`),
        }))
      : [],
  )
}

const show = ({ path, body, headers }: Attempt): string =>
  [path, body === undefined ? '' : JSON.stringify(body), headers ? JSON.stringify(headers) : '']
    .filter(Boolean)
    .join(' ')
