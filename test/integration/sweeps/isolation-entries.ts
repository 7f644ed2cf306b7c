import type { Attempt } from '../../../src/testing'
import { metricsToken } from '../../kit'
import { bearer } from '../token'

/** What one tenant could name of another: its ids, and words that stand for them. */
export type ServiceNames = {
  tenant: string
  conversation: string
  message: string
  user: string
  job: string
  external_id: string
  email: string
  key: string
  word: string
  cursor: string
  user_cursor: string
  audit_cursor: string
  job_cursor: string
}

/** How a route could be asked for somebody else's things, and the status that their owner gets for the first of it. */
type Entry = { owner: number; attempts: (names: ServiceNames) => Attempt[] }

export const conversations = '/api/v1/conversations'
export const users = '/api/v1/admin/users'
export const plugins = '/api/v1/plugins'
export const audit = '/api/v1/admin/audit'
export const jobs = '/api/v1/admin/jobs'
export const settings = '/api/v1/admin/tenant/settings'
const analytics = '/api/v1/analytics'
const plain = (path: string): Entry => ({ owner: 200, attempts: () => [{ path }] })

/** Every route of the service. */
export const entries: Record<string, Entry> = {
  'GET /health': plain('/health'),
  'GET /health/live': plain('/health/live'),
  'GET /health/ready': plain('/health/ready'),
  'GET /metrics': { owner: 200, attempts: () => [{ path: '/metrics', ...bearer(metricsToken) }] },
  'GET /openapi': plain('/openapi'),
  'GET /openapi/start.js': plain('/openapi/start.js'),
  'GET /openapi/swagger-ui.js': plain('/openapi/swagger-ui.js'),
  'GET /openapi/swagger-ui.css': plain('/openapi/swagger-ui.css'),
  'GET /openapi/json': plain('/openapi/json'),
  'GET /dashboard': plain('/dashboard'),
  'GET /dashboard/page.js': plain('/dashboard/page.js'),
  'GET /dashboard/page.css': plain('/dashboard/page.css'),
  'GET /api/v1/me': plain('/api/v1/me'),
  'POST /api/v1/conversations': {
    owner: 201,
    attempts: ({ tenant, user, conversation }) => [
      { path: conversations, body: { title: 'Q3 planning' } },
      { path: conversations, body: { tenant_id: tenant } },
      { path: conversations, body: { user_id: user } },
      { path: conversations, body: { id: conversation } },
      { path: conversations, body: { metadata: { tenant_id: tenant, parent: { conversation_id: conversation } } } },
    ],
  },
  'GET /api/v1/conversations': {
    owner: 200,
    attempts: ({ word, cursor, tenant, user }) => [
      { path: conversations },
      { path: `${conversations}?include_archived=true&limit=100` },
      { path: `${conversations}?q=${word}` },
      { path: `${conversations}?q=${word}&include_archived=true` },
      { path: `${conversations}?cursor=${cursor}&limit=1` },
      { path: `${conversations}?cursor=${cursor}&offset=0&include_archived=true` },
      { path: `${conversations}?user_id=${user}` },
      { path: `${conversations}?q=t${tenant.replaceAll('-', '')}` },
    ],
  },
  'GET /api/v1/conversations/:id': {
    owner: 200,
    attempts: ({ conversation, message }) => [
      { path: `${conversations}/${conversation}` },
      { path: `${conversations}/${conversation.toUpperCase()}` },
      { path: `${conversations}/${message}` },
    ],
  },
  'PATCH /api/v1/conversations/:id': {
    owner: 200,
    attempts: ({ conversation, tenant }) => [
      { path: `${conversations}/${conversation}`, body: { title: 'Taken' } },
      { path: `${conversations}/${conversation}`, body: { metadata: {}, is_archived: true } },
      { path: `${conversations}/${conversation}`, body: {} },
      { path: `${conversations}/${conversation}`, body: { tenant_id: tenant } },
    ],
  },
  'DELETE /api/v1/conversations/:id': {
    owner: 204,
    attempts: ({ conversation }) => [{ path: `${conversations}/${conversation}` }],
  },
  'GET /api/v1/conversations/:id/messages': {
    owner: 200,
    attempts: ({ conversation, message }) => [
      { path: `${conversations}/${conversation}/messages` },
      { path: `${conversations}/${conversation}/messages?limit=1&offset=1` },
      { path: `${conversations}/${message}/messages` },
    ],
  },
  'POST /api/v1/chat': {
    owner: 200,
    attempts: ({ conversation, tenant, user, key }) => [
      { path: '/api/v1/chat', body: { message: 'Go on', conversation_id: conversation } },
      { path: '/api/v1/chat', body: { message: 'Go on', conversation_id: conversation, stream: true } },
      { path: '/api/v1/chat', body: { message: 'What did I say?' }, headers: { 'idempotency-key': key } },
      { path: '/api/v1/chat', body: { message: 'Another body' }, headers: { 'idempotency-key': key } },
      {
        path: '/api/v1/chat',
        body: { message: 'Go on', conversation_id: conversation },
        headers: { 'idempotency-key': `${key}-2` },
      },
      { path: '/api/v1/chat', body: { message: 'Go on', tenant_id: tenant } },
      { path: '/api/v1/chat', body: { message: 'Go on', user_id: user } },
    ],
  },
  'POST /api/v1/admin/users': {
    owner: 409,
    attempts: ({ external_id, email, tenant, user }) => [
      { path: users, body: { external_id, email, role: 'viewer' } },
      { path: users, body: { external_id: 'n', email: 'n@globex.example', role: 'viewer', tenant_id: tenant } },
      { path: users, body: { external_id: 'n', email: 'n@globex.example', role: 'viewer', id: user } },
    ],
  },
  'GET /api/v1/admin/users': {
    owner: 200,
    attempts: ({ user_cursor }) => [
      { path: users },
      { path: `${users}?cursor=${user_cursor}` },
      { path: `${users}?cursor=${user_cursor}&limit=1&offset=0` },
    ],
  },
  'GET /api/v1/admin/users/:id': {
    owner: 200,
    attempts: ({ user, conversation }) => [{ path: `${users}/${user}` }, { path: `${users}/${conversation}` }],
  },
  'PATCH /api/v1/admin/users/:id': {
    owner: 200,
    attempts: ({ user }) => [
      { path: `${users}/${user}`, body: { display_name: 'Taken' } },
      { path: `${users}/${user}`, body: { role: 'admin' } },
      { path: `${users}/${user}`, body: { is_active: false } },
    ],
  },
  'DELETE /api/v1/admin/users/:id': { owner: 204, attempts: ({ user }) => [{ path: `${users}/${user}` }] },
  'GET /api/v1/admin/jobs': {
    owner: 200,
    attempts: ({ job_cursor, word }) => [
      { path: jobs },
      { path: `${jobs}?state=dead&limit=100` },
      { path: `${jobs}?kind=${word}` },
      { path: `${jobs}?cursor=${job_cursor}&limit=1` },
    ],
  },
  'POST /api/v1/admin/jobs/:id/retry': {
    owner: 200,
    attempts: ({ job, user, tenant }) => [
      { path: `${jobs}/${job}/retry` },
      { path: `${jobs}/${user}/retry` },
      { path: `${jobs}/${job}/retry?tenant_id=${tenant}` },
    ],
  },
  'GET /api/v1/admin/tenant/settings': plain(settings),
  'PATCH /api/v1/admin/tenant/settings': {
    owner: 200,
    attempts: ({ tenant }) => [
      { path: settings, body: { retention_days: 30 } },
      { path: settings, body: { tenant_id: tenant } },
      { path: settings, body: { id: tenant } },
    ],
  },
  'GET /api/v1/plugins': plain(plugins),
  'GET /api/v1/plugins/:name': {
    owner: 200,
    attempts: ({ tenant }) => [{ path: `${plugins}/test_courier` }, { path: `${plugins}/${tenant}` }],
  },
  'POST /api/v1/plugins/:name/enable': {
    owner: 200,
    attempts: ({ tenant, word }) => [
      { path: `${plugins}/test_courier/enable` },
      { path: `${plugins}/test_courier/enable`, body: {} },
      { path: `${plugins}/test_courier/enable`, body: { config: { url: 'http://x', token: '********' } } },
      { path: `${plugins}/test_courier/enable`, body: { config: { url: `http://${word}` }, tenant_id: tenant } },
    ],
  },
  'POST /api/v1/plugins/:name/disable': {
    owner: 200,
    attempts: () => [{ path: `${plugins}/test_courier/disable` }, { path: `${plugins}/test_greeter/disable` }],
  },
  'GET /api/v1/plugins/:name/config': {
    owner: 200,
    attempts: () => [{ path: `${plugins}/test_courier/config` }, { path: `${plugins}/test_greeter/config` }],
  },
  'PUT /api/v1/plugins/:name/config': {
    owner: 200,
    attempts: ({ tenant }) => [
      { path: `${plugins}/test_greeter/config`, body: { greeting: 'Taken' } },
      { path: `${plugins}/test_courier/config`, body: { url: 'http://x', token: '********' } },
      { path: `${plugins}/test_greeter/config`, body: { tenant_id: tenant } },
    ],
  },
  'PATCH /api/v1/plugins/:name/config': {
    owner: 200,
    attempts: ({ tenant }) => [
      { path: `${plugins}/test_greeter/config`, body: { greeting: 'Taken' } },
      { path: `${plugins}/test_courier/config`, body: { options: null } },
      { path: `${plugins}/test_courier/config`, body: {} },
      { path: `${plugins}/test_courier/config`, body: { tenant_id: tenant } },
    ],
  },
  'DELETE /api/v1/plugins/:name/config': {
    owner: 204,
    attempts: () => [{ path: `${plugins}/test_courier/config` }, { path: `${plugins}/test_greeter/config` }],
  },
  'GET /api/v1/admin/audit': {
    owner: 200,
    attempts: ({ audit_cursor }) => [
      { path: audit },
      { path: `${audit}?cursor=${audit_cursor}` },
      { path: `${audit}?cursor=${audit_cursor}&limit=1&offset=0` },
    ],
  },
  'GET /api/v1/analytics/summary': {
    owner: 200,
    attempts: ({ tenant, user }) => [
      { path: `${analytics}/summary` },
      { path: `${analytics}/summary?tenant_id=${tenant}` },
      { path: `${analytics}/summary?user_id=${user}` },
    ],
  },
  'GET /api/v1/analytics/daily': plain(`${analytics}/daily`),
  'GET /api/v1/analytics/routes': plain(`${analytics}/routes`),
  'GET /api/v1/analytics/models': plain(`${analytics}/models`),
  'GET /api/v1/analytics/users': {
    owner: 200,
    attempts: ({ tenant, user }) => [
      { path: `${analytics}/users` },
      { path: `${analytics}/users?offset=0&limit=100` },
      { path: `${analytics}/users?tenant_id=${tenant}` },
      { path: `${analytics}/users?user_id=${user}` },
    ],
  },
  'GET /api/v1/analytics/export': {
    owner: 200,
    attempts: ({ tenant }) => [
      { path: `${analytics}/export` },
      { path: `${analytics}/export?rows=routes&format=json` },
      { path: `${analytics}/export?rows=requests` },
      { path: `${analytics}/export?rows=requests&format=json` },
      { path: `${analytics}/export?tenant_id=${tenant}` },
    ],
  },
}
