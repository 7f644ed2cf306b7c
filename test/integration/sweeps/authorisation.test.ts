import { policyOf } from '../../../src/auth/access'
import { may, type Permission, type Role, roles } from '../../../src/auth/policy'
import { authorisationSweep, type Caller, type RightRequest } from '../../../src/testing'
import { app, describe, expect, type Fixtures, metricsToken, test } from '../../kit'
import { plantDeadJob } from '../dead-job'
import { bearer, claimsOf, handmade, startSeconds } from '../token'

/** A right request for each route. A new route needs its line here: the sweep fails until it has one. */
const requests: Record<string, (world: Fixtures) => RightRequest | Promise<RightRequest>> = {
  'GET /health': () => ({ path: '/health', status: 200 }),
  'GET /health/live': () => ({ path: '/health/live', status: 200 }),
  'GET /health/ready': () => ({ path: '/health/ready', status: 200 }),
  // With the token of the service, which no user has; that theirs open nothing is in metrics.test.ts.
  'GET /metrics': () => ({ path: '/metrics', status: 200, ...bearer(metricsToken) }),
  'GET /openapi': () => ({ path: '/openapi', status: 200 }),
  'GET /openapi/json': () => ({ path: '/openapi/json', status: 200 }),
  'GET /openapi/start.js': () => ({ path: '/openapi/start.js', status: 200 }),
  'GET /openapi/swagger-ui.js': () => ({ path: '/openapi/swagger-ui.js', status: 200 }),
  'GET /openapi/swagger-ui.css': () => ({ path: '/openapi/swagger-ui.css', status: 200 }),
  'GET /dashboard': () => ({ path: '/dashboard', status: 200 }),
  'GET /dashboard/page.js': () => ({ path: '/dashboard/page.js', status: 200 }),
  'GET /dashboard/page.css': () => ({ path: '/dashboard/page.css', status: 200 }),
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
  'GET /api/v1/plugins': () => ({ path: '/api/v1/plugins', status: 200 }),
  'GET /api/v1/plugins/:name': () => ({ path: greeter, status: 200 }),
  'POST /api/v1/plugins/:name/enable': () => ({ path: `${greeter}/enable`, body: { config: {} }, status: 200 }),
  'POST /api/v1/plugins/:name/disable': () => ({ path: `${greeter}/disable`, status: 200 }),
  'GET /api/v1/plugins/:name/config': () => ({ path: `${greeter}/config`, status: 200 }),
  'PUT /api/v1/plugins/:name/config': () => ({ path: `${greeter}/config`, body: { greeting: 'Hi' }, status: 200 }),
  'PATCH /api/v1/plugins/:name/config': () => ({ path: `${greeter}/config`, body: { greeting: 'Hi' }, status: 200 }),
  'DELETE /api/v1/plugins/:name/config': () => ({ path: `${greeter}/config`, status: 204 }),
  'GET /api/v1/admin/audit': () => ({ path: '/api/v1/admin/audit', status: 200 }),
  'GET /api/v1/admin/jobs': () => ({ path: '/api/v1/admin/jobs', status: 200 }),
  'POST /api/v1/admin/jobs/:id/retry': async (world) => ({ path: await deadJob(world), body: {}, status: 200 }),
  'GET /api/v1/analytics/summary': () => ({ path: '/api/v1/analytics/summary', status: 200 }),
  'GET /api/v1/analytics/daily': () => ({ path: '/api/v1/analytics/daily', status: 200 }),
  'GET /api/v1/analytics/routes': () => ({ path: '/api/v1/analytics/routes', status: 200 }),
  'GET /api/v1/analytics/models': () => ({ path: '/api/v1/analytics/models', status: 200 }),
  'GET /api/v1/analytics/users': () => ({ path: '/api/v1/analytics/users', status: 200 }),
  'GET /api/v1/analytics/export': () => ({ path: '/api/v1/analytics/export', status: 200 }),
}

async function deadJob({ tenantA }: Fixtures): Promise<string> {
  return `/api/v1/admin/jobs/${await plantDeadJob(tenantA.id)}/retry`
}

const greeter = '/api/v1/plugins/test_greeter'

async function conversation({ adminA }: Fixtures): Promise<string> {
  const { body } = await adminA.post('/api/v1/conversations', { title: 'Q3 planning' })
  return `/api/v1/conversations/${body.id}`
}

type Headers = Record<string, string>
type HeadersOf = (world: Fixtures) => Headers | Promise<Headers>

/** Let in nowhere, whatever the route needs. */
const stranger = (refusal: 401 | 403, headersOf: HeadersOf): Caller<Fixtures, Permission> => ({
  client: async (world) => withHeaders(world, await headersOf(world)),
  refusal: () => refusal,
})

/** Let in where its role may. */
const user = (role: Role): Caller<Fixtures, Permission> => ({
  client: (world) => withHeaders(world, bearer(handmade(claimsOf(world.users[`${role}A`]))).headers),
  refusal: (permission) => (may(role, permission) ? undefined : 403),
})

const withHeaders = ({ client }: Fixtures, headers: Headers) => client(() => headers)

const callers: Record<string, Caller<Fixtures, Permission>> = {
  'nobody in particular': stranger(401, () => ({})),
  'somebody with a garbage token': stranger(401, () => bearer('garbage').headers),
  'an admin with an expired token': stranger(
    401,
    ({ users }) => bearer(handmade({ ...claimsOf(users.adminA), exp: startSeconds - 30 })).headers,
  ),
  'a user of one tenant with a token for another': stranger(
    403,
    ({ users, tenantB }) =>
      bearer(handmade({ ...claimsOf(users.operatorA), tenant_id: tenantB.id, role: 'admin' })).headers,
  ),
  'an admin who was deactivated': stranger(403, async ({ adminA, tenantA }) => {
    const dora = { external_id: 'dora', email: 'dora@acme.example', role: 'admin' }
    const { body: created } = await adminA.post('/api/v1/admin/users', dora)
    await adminA.delete(`/api/v1/admin/users/${created.id}`)
    return bearer(handmade(claimsOf({ ...dora, tenant_id: tenantA.id }))).headers
  }),
  'a viewer': user('viewer'),
  'an operator': user('operator'),
  'an admin': user('admin'),
}

/** What the contract says of each route; the sweep only shows that the routes do what they say themselves. */
const contract: Record<string, Role | 'everybody'> = {
  'GET /health': 'everybody',
  'GET /health/live': 'everybody',
  'GET /health/ready': 'everybody',
  'GET /metrics': 'everybody',
  'GET /openapi': 'everybody',
  'GET /openapi/json': 'everybody',
  'GET /openapi/start.js': 'everybody',
  'GET /openapi/swagger-ui.js': 'everybody',
  'GET /openapi/swagger-ui.css': 'everybody',
  'GET /dashboard': 'everybody',
  'GET /dashboard/page.js': 'everybody',
  'GET /dashboard/page.css': 'everybody',
  'GET /api/v1/me': 'viewer',
  'POST /api/v1/conversations': 'operator',
  'GET /api/v1/conversations': 'viewer',
  'GET /api/v1/conversations/:id': 'viewer',
  'PATCH /api/v1/conversations/:id': 'operator',
  'DELETE /api/v1/conversations/:id': 'admin',
  'GET /api/v1/conversations/:id/messages': 'viewer',
  'POST /api/v1/chat': 'operator',
  'POST /api/v1/admin/users': 'admin',
  'GET /api/v1/admin/users': 'admin',
  'GET /api/v1/admin/users/:id': 'admin',
  'PATCH /api/v1/admin/users/:id': 'admin',
  'DELETE /api/v1/admin/users/:id': 'admin',
  'GET /api/v1/admin/tenant/settings': 'admin',
  'PATCH /api/v1/admin/tenant/settings': 'admin',
  'GET /api/v1/plugins': 'viewer',
  'GET /api/v1/plugins/:name': 'viewer',
  'POST /api/v1/plugins/:name/enable': 'admin',
  'POST /api/v1/plugins/:name/disable': 'admin',
  'GET /api/v1/plugins/:name/config': 'admin',
  'PUT /api/v1/plugins/:name/config': 'admin',
  'PATCH /api/v1/plugins/:name/config': 'admin',
  'DELETE /api/v1/plugins/:name/config': 'admin',
  'GET /api/v1/admin/audit': 'admin',
  'GET /api/v1/admin/jobs': 'admin',
  'POST /api/v1/admin/jobs/:id/retry': 'admin',
  'GET /api/v1/analytics/summary': 'viewer',
  'GET /api/v1/analytics/daily': 'viewer',
  'GET /api/v1/analytics/routes': 'viewer',
  'GET /api/v1/analytics/models': 'viewer',
  'GET /api/v1/analytics/users': 'admin',
  'GET /api/v1/analytics/export': 'operator',
}

const leastRole = (policy: Permission | 'public' | undefined) =>
  policy === 'public' ? 'everybody' : roles.find((role) => policy !== undefined && may(role, policy))

describe('The policy of each route', () => {
  test('is what the contract says', () => {
    const declared = app.routes.map((route) => [`${route.method} ${route.path}`, leastRole(policyOf(route))])

    expect(Object.fromEntries(declared)).toEqual(contract)
  })
})

describe('The policy of each route is what happens', () => {
  authorisationSweep(test, { routes: app.routes, policyOf, callers, requests })
})
