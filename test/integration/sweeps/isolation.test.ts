import { eq } from 'drizzle-orm'
import * as tables from '../../../src/database/tables'
import { type Client, isolationSweep } from '../../../src/testing'
import { app, database, describe, type Fixtures, test } from '../../kit'
import { plantDeadJob } from '../dead-job'
import { audit, conversations, entries, jobs, plugins, type ServiceNames, settings, users } from './isolation-entries'

const cursorOf = (id: string) => Buffer.from(id).toString('base64url')

/** One tenant's things. Those of two tenants lie between each other in time. */
async function plant(
  { clock, tenantA, tenantB, adminA, model }: Fixtures,
  client: Client,
  canary: (field: string) => string,
): Promise<ServiceNames> {
  const tenant = client === adminA ? tenantA.id : tenantB.id
  const title = `Q3 planning ${canary('title')}`
  const metadata = { [canary('field')]: [canary('value')] }
  const { body: created } = await client.post(conversations, { title, system_prompt: canary('prompt'), metadata })
  clock.advance({ seconds: 2 })
  await client.post(conversations, { title: 'Q3 planning' })
  clock.advance({ seconds: -1 })
  const key = `key-of-${tenant}`
  model.says(canary('reply'))
  const question = { message: canary('message'), conversation_id: created.id, model: canary('model') }
  const { body: reply } = await client.post('/api/v1/chat', question, { headers: { 'idempotency-key': key } })
  const named = { external_id: canary('user'), email: `${canary('mail')}@acme.example`, display_name: canary('name') }
  const { body: user } = await client.post(users, { ...named, role: 'viewer' })
  await client.patch(settings, {
    name: canary('tenant'),
    default_model: canary('default'),
    system_prompt: canary('system'),
  })
  await client.post(`${plugins}/test_courier/enable`, {
    config: {
      url: `http://${canary('url')}`,
      options: { [canary('option')]: canary('option-value') },
      token: `token-${tenant}`,
    },
  })
  await client.put(`${plugins}/test_greeter/config`, { greeting: canary('greeting') })
  const { body: acts } = await client.get(`${audit}?limit=1`)
  const job = await plantDeadJob(tenant, { kind: canary('kind'), last_error: canary('error') })
  return {
    tenant,
    conversation: created.id,
    message: reply.message_id,
    user: user.id,
    external_id: named.external_id,
    email: named.email,
    key,
    word: canary('title'),
    cursor: cursorOf(created.id),
    job,
    user_cursor: cursorOf(user.id),
    audit_cursor: cursorOf(acts[0].id),
    job_cursor: cursorOf(job),
  }
}

/** Names that look the same and belong to nobody: made in the same millisecond, so that they sort alike. */
function nobodys({ tenant, conversation, message, user, job, audit_cursor }: ServiceNames): ServiceNames {
  const like = (id: string) => `${id.slice(0, 24)}0123456789ab`
  return {
    tenant: like(tenant),
    conversation: like(conversation),
    message: like(message),
    user: like(user),
    external_id: 'nobodys-user',
    email: 'nobodys-mail@acme.example',
    key: 'nobodys-key',
    word: 'nobodys-word',
    cursor: cursorOf(like(conversation)),
    job: like(job),
    user_cursor: cursorOf(like(user)),
    audit_cursor: cursorOf(like(Buffer.from(audit_cursor, 'base64url').toString())),
    job_cursor: cursorOf(like(job)),
  }
}

/** All that is stored of the owner, by table. */
async function rows({ tenantA }: Fixtures) {
  const { tenants, tenant_settings, conversations, messages, usage_records, idempotency_keys } = tables
  const { tenant_plugins, audit_log } = tables
  return [
    await database.select().from(tenants).where(eq(tenants.id, tenantA.id)),
    await database.select().from(tenant_settings).where(eq(tenant_settings.tenant_id, tenantA.id)),
    await database.select().from(tables.users).where(eq(tables.users.tenant_id, tenantA.id)),
    await database.select().from(conversations).where(eq(conversations.tenant_id, tenantA.id)),
    await database.select().from(messages).where(eq(messages.tenant_id, tenantA.id)),
    await database.select().from(usage_records).where(eq(usage_records.tenant_id, tenantA.id)),
    await database.select().from(tables.jobs).where(eq(tables.jobs.tenant_id, tenantA.id)),
    await database.select().from(tables.usage_days).where(eq(tables.usage_days.tenant_id, tenantA.id)),
    await database.select().from(tables.message_days).where(eq(tables.message_days.tenant_id, tenantA.id)),
    await database.select().from(idempotency_keys).where(eq(idempotency_keys.tenant_id, tenantA.id)),
    await database.select().from(tenant_plugins).where(eq(tenant_plugins.tenant_id, tenantA.id)),
    await database.select().from(audit_log).where(eq(audit_log.tenant_id, tenantA.id)),
  ]
}

describe('Two tenants with things of the same names', () => {
  isolationSweep(test, {
    routes: app.routes,
    owner: ({ adminA }: Fixtures) => adminA,
    stranger: ({ adminB }) => adminB,
    plant,
    nobodys,
    sees: ({ conversation }) => [
      '/api/v1/me',
      `${conversations}?include_archived=true`,
      `${conversations}/${conversation}/messages`,
      users,
      jobs,
      settings,
      `${plugins}/test_courier/config`,
      `${plugins}/test_greeter/config`,
    ],
    rows,
    entries,
    smuggled: ({ tenant, user, conversation, message }) => ({
      tenant_id: tenant,
      user_id: user,
      conversation_id: conversation,
      id: message,
    }),
    // What the process has counted so far: every request before counts, too, and the first of its kind adds lines.
    volatile: [
      /^(?:(?:tenantry|process)_\S+ \S+\n)+/gm,
      /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g,
      /\\?"(?:latency_ms|uptime_seconds)\\?":\d+/g,
    ],
    volatileHeaders: ['x-request-id', 'server-timing'],
    each: ({ model }) => void model.says('Well'),
  })
})
