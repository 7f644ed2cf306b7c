import { type AnyElysia, Elysia } from 'elysia'
import { access as accessModule, policyOf, requirePolicies } from '../../../src/auth/access'
import { may, type Role } from '../../../src/auth/policy'
import { app, deps, describe, expect, test } from '../../kit'
import { bearer, claimsOf, handmade, startSeconds } from '../token'

type World = Parameters<Parameters<typeof test>[1]>[0]
/** A request that is right in every way but for who makes it, and the status it has when who makes it is right too. */
type Call = { path: string; body?: unknown; status: number }

/** How to call each route. A new route needs its line here: the sweep fails until it has one. */
const calls: Record<string, (world: World) => Call | Promise<Call>> = {
  'GET /health': () => ({ path: '/health', status: 200 }),
  'GET /health/live': () => ({ path: '/health/live', status: 200 }),
  'GET /health/ready': () => ({ path: '/health/ready', status: 200 }),
  'GET /openapi': () => ({ path: '/openapi', status: 200 }),
  'GET /openapi/json': () => ({ path: '/openapi/json', status: 200 }),
  'GET /openapi/start.js': () => ({ path: '/openapi/start.js', status: 200 }),
  'GET /openapi/swagger-ui.js': () => ({ path: '/openapi/swagger-ui.js', status: 200 }),
  'GET /openapi/swagger-ui.css': () => ({ path: '/openapi/swagger-ui.css', status: 200 }),
  'GET /api/v1/me': () => ({ path: '/api/v1/me', status: 200 }),
  'POST /api/v1/conversations': () => ({ path: '/api/v1/conversations', body: { title: 'Q3 planning' }, status: 201 }),
  'GET /api/v1/conversations': () => ({ path: '/api/v1/conversations', status: 200 }),
  'GET /api/v1/conversations/:id': async (world) => ({ path: await conversation(world), status: 200 }),
  'PATCH /api/v1/conversations/:id': async (world) => ({
    path: await conversation(world),
    body: { title: 'Q4 planning' },
    status: 200,
  }),
  'DELETE /api/v1/conversations/:id': async (world) => ({ path: await conversation(world), status: 204 }),
  'GET /api/v1/conversations/:id/messages': async (world) => ({
    path: `${await conversation(world)}/messages`,
    status: 200,
  }),
  'POST /api/v1/chat': ({ model }) => {
    model.says('Hello')
    return { path: '/api/v1/chat', body: { message: 'Hello?' }, status: 200 }
  },
  'POST /api/v1/admin/users': () => ({
    path: '/api/v1/admin/users',
    body: { external_id: 'kim', email: 'kim@acme.example', role: 'viewer' },
    status: 201,
  }),
  'GET /api/v1/admin/users': () => ({ path: '/api/v1/admin/users', status: 200 }),
  'GET /api/v1/admin/users/:id': ({ users }) => ({ path: `/api/v1/admin/users/${users.viewerA.id}`, status: 200 }),
  'PATCH /api/v1/admin/users/:id': ({ users }) => ({
    path: `/api/v1/admin/users/${users.viewerA.id}`,
    body: { display_name: 'Vera Vale' },
    status: 200,
  }),
  'DELETE /api/v1/admin/users/:id': ({ users }) => ({ path: `/api/v1/admin/users/${users.operatorA.id}`, status: 204 }),
  'GET /api/v1/admin/tenant/settings': () => ({ path: '/api/v1/admin/tenant/settings', status: 200 }),
  'PATCH /api/v1/admin/tenant/settings': () => ({
    path: '/api/v1/admin/tenant/settings',
    body: { retention_days: 90 },
    status: 200,
  }),
}

async function conversation({ adminA }: World): Promise<string> {
  const { body } = await adminA.post('/api/v1/conversations', { title: 'Q3 planning' })
  return `/api/v1/conversations/${body.id}`
}

/** Who comes, with which header, and what a route that is not public says to all of them, whatever it needs. */
type Caller = { headers: (world: World) => Record<string, string> | Promise<Record<string, string>> } & (
  | { refusal: 401 | 403 }
  | { role: Role }
)

const callers: Record<string, Caller> = {
  'nobody in particular': { headers: () => ({}), refusal: 401 },
  'somebody with a garbage token': { headers: () => bearer('garbage').headers, refusal: 401 },
  'an admin with an expired token': {
    headers: ({ users }) => bearer(handmade({ ...claimsOf(users.adminA), exp: startSeconds - 30 })).headers,
    refusal: 401,
  },
  'a user of one tenant with a token for another': {
    headers: ({ users, tenantB }) =>
      bearer(handmade({ ...claimsOf(users.operatorA), tenant_id: tenantB.id, role: 'admin' })).headers,
    refusal: 403,
  },
  'an admin who was deactivated': {
    headers: async ({ adminA, tenantA }) => {
      const dora = { external_id: 'dora', email: 'dora@acme.example', role: 'admin' }
      const { body: created } = await adminA.post('/api/v1/admin/users', dora)
      await adminA.delete(`/api/v1/admin/users/${created.id}`)
      return bearer(handmade(claimsOf({ ...dora, tenant_id: tenantA.id }))).headers
    },
    refusal: 403,
  },
  'a viewer': { headers: ({ users }) => bearer(handmade(claimsOf(users.viewerA))).headers, role: 'viewer' },
  'an operator': { headers: ({ users }) => bearer(handmade(claimsOf(users.operatorA))).headers, role: 'operator' },
  'an admin': { headers: ({ users }) => bearer(handmade(claimsOf(users.adminA))).headers, role: 'admin' },
}

type Policy = ReturnType<typeof policyOf>

/** What a route of this policy answers to this caller. */
function expectedStatus(policy: Policy, caller: Caller, ownStatus: number): number {
  if (policy === 'public') return ownStatus
  if ('refusal' in caller) return caller.refusal
  return policy !== undefined && may(caller.role, policy) ? ownStatus : 403
}

const routes = app.routes.map((route) => ({
  key: `${route.method} ${route.path}`,
  method: route.method,
  policy: policyOf(route),
}))

/** Routes that nothing says how to call, and lines for routes that are not there. */
function gaps(found: readonly string[], described: readonly string[]): string[] {
  return [
    ...found.filter((key) => !described.includes(key)).map((key) => `${key} has no line in \`calls\`: add one`),
    ...described.filter((key) => !found.includes(key)).map((key) => `${key} is no route: remove its line in \`calls\``),
  ]
}

describe('The sweep', () => {
  test('knows how to call every route that there is, and no other', () => {
    const found = gaps(
      routes.map(({ key }) => key),
      Object.keys(calls),
    )

    expect(found).toEqual([])
  })

  test('names a route that it cannot call, and a line without a route', () => {
    const found = gaps(['GET /health', 'GET /new'], ['GET /health', 'GET /old'])

    expect(found).toEqual([
      'GET /new has no line in `calls`: add one',
      'GET /old is no route: remove its line in `calls`',
    ])
  })

  test.each(Object.keys(calls).map((key): [string] => [key]))('reaches %s as an admin', async (key, world) => {
    const { policy, method, call } = await prepared(key, world)

    const response = await world.adminA.send(method, call.path, { body: call.body })

    expect(policy).toBeString()
    expect(response.status).toBe(call.status)
  })
})

describe.each(Object.entries(callers))('%s', (_, caller) => {
  test.each(Object.keys(calls).map((key): [string] => [key]))('at %s gets what its policy says', async (key, world) => {
    const { policy, method, call } = await prepared(key, world)
    const headers = await caller.headers(world)

    const response = await world.anonymous.send(method, call.path, { body: call.body, headers })

    expect(response.status).toBe(expectedStatus(policy, caller, call.status))
  })
})

async function prepared(key: string, world: World) {
  const route = routes.find((each) => each.key === key)
  const describeCall = calls[key]
  if (!route || !describeCall) throw new Error(`There is no ${key}: see what the sweep says of its gaps.`)
  return { ...route, call: await describeCall(world) }
}

describe('A route without a policy', () => {
  const access = accessModule(deps)
  const answer = () => 'hello'
  const forgetful = () => new Elysia({ prefix: '/inner' }).use(access).get('/open', answer)
  const careful = () => new Elysia({ prefix: '/careful' }).use(access).get('/me', answer, { permission: 'self:read' })

  const forgotten: [string, string, () => AnyElysia][] = [
    ['on its own', 'GET /open', () => new Elysia().use(access).get('/open', answer)],
    ['before the module', 'POST /open', () => new Elysia().post('/open', answer).use(access)],
    ['in a module that comes first', 'GET /inner/open', () => new Elysia().use(forgetful()).use(careful())],
    ['in a module that comes last', 'GET /inner/open', () => new Elysia().use(careful()).use(forgetful())],
    [
      'in a group',
      'PUT /group/open',
      () => new Elysia().use(access).group('/group', (group) => group.put('/open', answer)),
    ],
    [
      'behind a guard with nothing in it',
      'GET /open',
      () => new Elysia().use(access).guard({}, (guarded) => guarded.get('/open', answer)),
    ],
    ['that takes every method', 'ALL /open', () => new Elysia().use(access).all('/open', answer)],
    ['that opens a socket', 'WS /open', () => new Elysia().use(access).ws('/open', { message: () => {} })],
  ]
  test.each(forgotten)('%s stops the build and is named', (_, key, build) => {
    const built = build()

    expect(() => requirePolicies(built)).toThrow(
      `No policy declared for ${key}: add { permission: '...' } from auth/policy.ts, or { public: true }.`,
    )
    expect(() => requirePolicies(careful())).not.toThrow()
  })

  test('is named with all the others', () => {
    const built = new Elysia().get('/one', answer).use(careful()).delete('/two', answer)

    expect(() => requirePolicies(built)).toThrow('No policy declared for GET /one, DELETE /two: ')
  })

  test('does not stop the build when it says that it is public', () => {
    const built = new Elysia().use(access).get('/open', answer, { public: true })

    expect(() => requirePolicies(built)).not.toThrow()
  })
})
