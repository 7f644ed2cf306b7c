import type * as FastCheck from 'fast-check'
import type { Client, ClientResponse } from './client'
import type { World } from './kit'
import { type AnyRoute, keyOf, patient, type Register, readAnswer, requireStreams, type Streams, swept } from './routes'
import {
  type Fc,
  type Known,
  kind,
  mismatch,
  type OwnKinds,
  type Schema,
  unknownField,
  valuesOf,
  wrongValuesOf,
} from './schema-values'

/** A route of Elysia's with the schemas that it declares. */
export type DeclaredRoute = AnyRoute & {
  readonly hooks: { body?: unknown; query?: unknown; params?: unknown; response?: unknown }
}

export type ContractFuzz<All> = Streams & {
  routes: readonly DeclaredRoute[]
  /** Who may call this route (`METHOD /path`). */
  client(all: All, route: string): Client
  /**
   * Makes what this route (`METHOD /path`) can be asked for; returns what parts of paths, query parameters and body fields,
   * also inside others, may say, by name: `{ id: [...] }`. Numbers are given as their text.
   */
  prepare?(all: All, route: string): Promise<Known>
  /** Before every request, for example to script the model. */
  each?(all: All): void
  /** The schemas that routes call by a name, as the app's `.model()` is given them. */
  models?: Record<string, unknown>
  /** What schemas of the app's own kinds mean on the wire, by TypeBox kind. */
  kinds?: OwnKinds
  /** What the app does with fields that a schema does not know: `dropped` is Elysia's default, `refused` that of the fuzz. */
  unknownFields?: 'refused' | 'dropped'
  /** What every refusal (4xx) looks like. */
  refusal?: unknown
  /** Requests of each sort for each route, 30 unless said otherwise. */
  runs?: number
}

type Generated = { valid: boolean; params: Record<string, string>; query: Record<string, unknown>; body: unknown }

/**
 * Registers a test for each route: requests made from its schemas, right ones and wrong ones, each from the same state.
 * No answer is a 5xx, every answer is what the route declares for its status, what is wrong is refused with 400, 413,
 * 415 or 422, and some of what is right is accepted. Needs the package fast-check. The same requests in every run, until
 * TESTING_FUZZ_SEED says otherwise; TESTING_FUZZ_RUNS makes more of them.
 */
export function contractFuzz<All extends World>(test: Register<All>, options: ContractFuzz<All>): void {
  requireStreams(options.routes, options)
  for (const route of swept(options.routes)) {
    test(`${keyOf(route)} keeps its contract`, (all) => fuzz(all, route, options), patient)
  }
}

async function fuzz<All extends World>(all: All, given: DeclaredRoute, options: ContractFuzz<All>): Promise<void> {
  const route = resolved(given, options.models ?? {})
  const fc = await loadFastCheck()
  const seed = numberIn('TESTING_FUZZ_SEED', 1)
  const known = (await options.prepare?.(all, keyOf(route))) ?? {}
  const requests = requestsFor(route, known, fc, options)
  const numRuns = numberIn('TESTING_FUZZ_RUNS', options.runs ?? 30) * (requests.varies ? 2 : 0) || 1
  let accepted = 0

  const property = fc.asyncProperty(requests.all, async (request) => {
    const { answer, errors } = await ask(all, route, options, request)
    if (request.valid && answer.status < 300) accepted++
    const problem = problemWith(route, request, answer, options)
    if (errors.length > 0) throw new Error(`The app failed: ${errors.map(messageOf).join('; ')}`)
    if (problem !== undefined) throw new Error(problem)
  })
  const { failed, counterexample, errorInstance, numShrinks } = await fc.check(property, { seed, numRuns })
  const [smallest] = counterexample ?? []
  if (failed && smallest) {
    throw new Error(
      `${keyOf(route)} does not keep its contract: ${messageOf(errorInstance)}\n  ${show(route, smallest)}\n  Found with TESTING_FUZZ_SEED=${seed}, made smaller ${numShrinks} times.`,
    )
  }
  if (accepted === 0) {
    throw new Error(
      `${keyOf(route)} accepted none of ${numRuns} requests, so that nothing is known of its answers: give it values that exist, in \`prepare\` or \`kinds\`.`,
    )
  }
}

/** The route with schemas where it names models, and its answers by status: as Elysia does, one alone is that of 200. */
function resolved(route: DeclaredRoute, models: Record<string, unknown>): DeclaredRoute {
  const { body, query, response, ...hooks } = route.hooks
  const found = (schema: unknown): unknown => {
    if (typeof schema !== 'string') return schema
    if (Object.hasOwn(models, schema)) return models[schema]
    throw new Error(
      `${keyOf(route)} names the model "${schema}", which the contract fuzz was not told of: say models: { ${schema}: ... }, as .model() does.`,
    )
  }
  const isOne = typeof response === 'string' || (typeof response === 'object' && response !== null && kind in response)
  const answers = Object.entries((isOne ? { 200: response } : response) ?? {})
  return {
    ...route,
    hooks: {
      ...hooks,
      body: found(body),
      query: found(query),
      response: Object.fromEntries(answers.map(([status, schema]) => [status, found(schema)])),
    },
  }
}

async function ask<All extends World>(
  all: All,
  route: DeclaredRoute,
  { client, each, ...streams }: ContractFuzz<All>,
  { params, query, body }: Generated,
): Promise<{ answer: ClientResponse; errors: unknown[] }> {
  const { ledger, provider } = all
  const { method, path } = route
  const [requests, own] = [ledger.requests.length, ledger.own.length]
  return await all.rewind(async () => {
    each?.(all)
    const response = await client(all, keyOf(route)).send(
      method === 'ALL' ? 'POST' : method,
      target(path, params, query),
      {
        ...(body !== undefined && { body: JSON.stringify(body) }),
      },
    )
    const answer = await readAnswer(route, response, streams)
    await all.settle()
    provider.forget()
    const errors = all.takeErrors()
    // Thousands of them; the one that matters is in the error.
    ledger.requests.splice(requests)
    ledger.own.splice(own)
    return { answer, errors }
  })
}

function problemWith<All>(
  { hooks }: DeclaredRoute,
  { valid, query, body: sent }: Generated,
  { status, body }: ClientResponse,
  { kinds = {}, refusal }: ContractFuzz<All>,
): string | undefined {
  if (status >= 500) return `the answer is ${status}: ${JSON.stringify(body)}`
  if (!valid && ![400, 413, 415, 422].includes(status))
    return `what its schema does not allow is answered with ${status}${[query, sent].some(hasUnknownField) ? dropsFields : ''}`
  const declared = (hooks.response ?? {}) as Record<string, Schema>
  const schema = declared[status] ?? (status >= 400 ? (refusal as Schema | undefined) : undefined)
  if (!schema) {
    const isDeclared = status >= 400 || Object.keys(declared).length === 0
    return isDeclared ? undefined : `the answer is ${status}, which the route does not declare`
  }
  const found = mismatch(schema, body, kinds)
  return found && `the answer ${status} is not what the route declares: ${found}: ${JSON.stringify(body)}`
}

const hasUnknownField = (value: unknown) => typeof value === 'object' && value !== null && unknownField in value
const dropsFields =
  ": Elysia drops fields that it does not know, unless it is built with `normalize: false`. Where that is meant, say unknownFields: 'dropped'."

/** Right requests and wrong ones, in turns as they come. `varies` is false where a route takes nothing. */
function requestsFor(
  { path, hooks }: DeclaredRoute,
  known: Known,
  fc: Fc,
  { kinds = {}, unknownFields = 'refused' }: Pick<ContractFuzz<never>, 'kinds' | 'unknownFields'>,
): { all: FastCheck.Arbitrary<Generated>; varies: boolean } {
  const [body, query] = [hooks.body as Schema | undefined, hooks.query as Schema | undefined]
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
  const right = {
    existing: paramsOf(names, known, fc, false),
    params: paramsOf(names, known, fc, true),
    query: query
      ? (valuesOf(query, fc, kinds, known) as FastCheck.Arbitrary<Record<string, unknown>>)
      : fc.constant({}),
    body: body ? valuesOf(body, fc, kinds, known) : fc.constant(undefined),
  }
  const wrongBody = body && wrongValuesOf(body, fc, kinds, { unknownFields })
  const wrongQuery =
    query &&
    (wrongValuesOf(query, fc, kinds, {
      unknownFields,
      isWrong: (value) => isRefusedAsText(query, value, kinds),
    }) as FastCheck.Arbitrary<Record<string, unknown>> | undefined)
  const all = [
    fc.record({ valid: fc.constant(true), params: right.params, query: right.query, body: right.body }),
    ...(wrongBody
      ? [
          fc.record({
            valid: fc.constant(false),
            params: right.existing,
            query: right.query,
            body: wrongBody,
          }),
        ]
      : []),
    ...(wrongQuery
      ? [fc.record({ valid: fc.constant(false), params: right.existing, query: wrongQuery, body: right.body })]
      : []),
  ]
  return { all: fc.oneof(...all), varies: body !== undefined || query !== undefined || names.length > 0 }
}

function paramsOf(names: readonly string[], known: Known, fc: Fc, alsoUnknown: boolean) {
  // A path is normalised before it is routed, so `.` and `..` would be another route.
  const text = fc.string({ minLength: 1, maxLength: 40 }).filter((value) => !/^\.+$/.test(value))
  const values = (name: string) => {
    const existing = known[name] ?? []
    const some = existing.length > 0 ? [{ weight: 3, arbitrary: fc.constantFrom(...existing) }] : []
    const others = alsoUnknown || some.length === 0 ? [fc.uuid(), text] : []
    return fc.oneof(...some, ...others)
  }
  return fc.record(Object.fromEntries(names.map((name) => [name, values(name)])))
}

/** In a query everything is text, so what is wrong as a value may be right as its text. */
function isRefusedAsText(schema: Schema, value: unknown, kinds: OwnKinds): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const texts = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, textOf(each)]))
  return mismatch(schema, texts, kinds) !== undefined
}

function target(pattern: string, params: Record<string, string>, query: Record<string, unknown>): string {
  const path = pattern.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent((params[name] ?? '').toWellFormed()))
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) search.append(name, textOf(value))
  return search.size > 0 ? `${path}?${search}` : path
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

const show = ({ method, path }: DeclaredRoute, { params, query, body }: Generated): string =>
  `${method} ${target(path, params, query)}${body === undefined ? '' : ` ${JSON.stringify(body)}`}`

const messageOf = (error: unknown): string =>
  error instanceof Error
    ? `${error.message}${error.cause === undefined ? '' : `, because of ${messageOf(error.cause)}`}`
    : String(error)

function numberIn(name: string, otherwise: number): number {
  const text = process.env[name]
  if (text === undefined || text === '') return otherwise
  if (!/^-?\d+$/.test(text)) throw new Error(`${name} has to be a whole number.`)
  return Number(text)
}

async function loadFastCheck(): Promise<Fc> {
  try {
    return await import('fast-check')
  } catch (cause) {
    throw new Error('The contract fuzz needs the package fast-check: bun add --dev fast-check.', { cause })
  }
}
