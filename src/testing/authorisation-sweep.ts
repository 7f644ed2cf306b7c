import type { Client, SendOptions } from './client'
import type { World } from './kit'
import { hasWritten } from './ledger'
import {
  type AnyRoute,
  failWith,
  gaps,
  isAt,
  isEndless,
  keyOf,
  patient,
  type Register,
  requireStreams,
  type Streams,
  swept,
} from './routes'

/** A request that is right in every way but for who makes it, and its status when who makes it is right too. */
export type RightRequest = Pick<SendOptions, 'body' | 'headers'> & { path: string; status: number }

export type Caller<All, Policy> = {
  client(all: All): Client | Promise<Client>
  /** What it gets at a route of this policy instead of the answer; undefined where it is let in. Not asked for public routes. */
  refusal(policy: Policy): number | undefined
}

export type AuthorisationSweep<All, Route extends AnyRoute, Policy extends string> = Streams & {
  routes: readonly Route[]
  /** What the route declares; `public` lets everybody in, and undefined fails the sweep. */
  policyOf(route: Route): Policy | 'public' | undefined
  callers: Record<string, Caller<All, Policy>>
  /** One for each route, by `METHOD /path`. Made anew for each caller, so it may make rows and script the model. */
  requests: Record<string, (all: All) => RightRequest | Promise<RightRequest>>
}

/**
 * Registers a test for each route: every caller sends the same right request from the same state, and gets the answer or
 * its refusal, as the policy says; who is refused has written nothing. A route without a request, a request without a
 * route, and a route at which nobody is let in (so that nothing shows that it was reached) fail the sweep.
 */
export function authorisationSweep<All extends World, Route extends AnyRoute, Policy extends string>(
  test: Register<All>,
  { routes, policyOf, callers, requests, ...streams }: AuthorisationSweep<All, Route, Policy>,
): void {
  requireStreams(routes, streams)
  test('knows every route, who is let in there and who is not', () => {
    const found = swept(routes).flatMap((route) => {
      const policy = policyOf(route)
      if (policy === undefined) return [`${keyOf(route)} declares no policy.`]
      if (policy === 'public') return []
      const refusals = Object.values(callers).map((caller) => caller.refusal(policy))
      return [
        ...(refusals.includes(undefined)
          ? []
          : [`${keyOf(route)} lets no caller in: nothing shows that it is reached.`]),
        ...(refusals.some((status) => status !== undefined) ? [] : [`${keyOf(route)} refuses no caller.`]),
      ]
    })
    failWith('The authorisation sweep is not complete.', [...gaps(routes, requests), ...found])
  })

  for (const route of swept(routes)) {
    const [policy, describe] = [policyOf(route), requests[keyOf(route)]]
    if (policy === undefined || !describe) continue // told above
    const check = async (all: All) => {
      const problems: string[] = []
      for (const [name, caller] of Object.entries(callers)) {
        const problem = await all.rewind(async () => {
          const client = await caller.client(all)
          const request = await describe(all)
          return await problemWith(
            all,
            route,
            request,
            client,
            policy === 'public' ? undefined : caller.refusal(policy),
            streams,
          )
        })
        if (problem !== undefined) problems.push(`${name}: ${problem}`)
      }
      failWith(`${keyOf(route)} declares the policy ${policy}.`, problems)
    }
    test(`${keyOf(route)} answers each caller as its policy says`, check, patient)
  }
}

async function problemWith(
  { ledger }: World,
  route: AnyRoute,
  { path, status, body, headers }: RightRequest,
  client: Client,
  refusal: number | undefined,
  streams: Streams,
): Promise<string | undefined> {
  if (!isAt(route, path)) return `the request goes to ${path}, which is not this route.`
  if (status >= 400) return `the request is said to be right, and to be answered with ${status}.`
  const response = await client.send(route.method === 'ALL' ? 'GET' : route.method, path, {
    body,
    ...(headers && { headers }),
  })
  if (isEndless(route, streams)) response.body?.cancel().catch(() => {})
  else await response.arrayBuffer()
  const expected = refusal ?? status
  if (response.status !== expected) return `expected ${expected}, and got ${response.status}.`
  if (refusal === undefined) return undefined
  const written = ledger.requests.at(-1)?.statements.find(hasWritten)
  return written && `refused with ${refusal}, after it had written: ${written.text}`
}
