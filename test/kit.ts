import { buildApp } from '../src/app'
import type { Role } from '../src/auth/policy'
import { signToken, tokenVerifier } from '../src/auth/tokens'
import { connect } from '../src/database/database'
import { migrate } from '../src/database/migrate'
import type { Deps } from '../src/deps'
import { Lifetime } from '../src/lifetime'
import type { ProviderRequest } from '../src/providers/provider'
import { createTenant } from '../src/tenants/store'
import { kit, outside, type ScriptedModel } from '../src/testing'
import { createUser } from '../src/users/store'

export { describe, expect } from 'bun:test'

export const jwtConfig = {
  secret: 'kR7v2XwQ9mZp4TnB8sLd3FhJ6cYg1AeU',
  issuer: undefined,
  audience: 'tenantry',
  jwksUrl: undefined,
}
export const startsAt = new Date('2026-03-02T09:00:00.000Z')

// The database lives as long as the run; each test sees it through a transaction that is rolled back.
const connection = connect(process.env.DATABASE_URL ?? 'sqlite::memory:', { maxConnections: 4 })
await migrate(connection.root)
export const { database, root } = connection
export const closeKit = () => connection[Symbol.asyncDispose]()

const seedClock = { now: () => startsAt }
const tenantA = await seedTenant('acme', 'Acme')
const tenantB = await seedTenant('globex', 'Globex')
const users = {
  adminA: await seedUser(tenantA, 'ada', 'admin'),
  operatorA: await seedUser(tenantA, 'olivia', 'operator'),
  viewerA: await seedUser(tenantA, 'vera', 'viewer'),
  adminB: await seedUser(tenantB, 'ada', 'admin'),
}

/** The app's own dependencies, as tests have them; a test that needs other ones builds another app from these. */
export const deps: Deps = {
  database,
  ping: connection.ping,
  verifyToken: tokenVerifier(jwtConfig, outside.clock),
  provider: outside.provider,
  defaultModel: 'scripted',
  clock: outside.clock,
  reporter: { info: () => {}, warn: () => {}, unexpected: outside.unexpected },
  lifetime: new Lifetime(outside.unexpected),
  limits: {
    provider: { totalMs: 2000, firstByteMs: 1000, idleMs: 1000, retryMs: 1, longestReply: 100_000 },
    heartbeatMs: 60_000,
  },
  corsOrigins: [],
  openapi: true,
  version: '0.0.0-test',
}

export const app = buildApp(deps)

const seeded = { tenantA, tenantB, users }
type Provider = ScriptedModel<ProviderRequest>

export const test = kit({
  isolate: async () => {
    const { scope, rollback } = await root.sandbox()
    return { enter: (work) => scope.enter(work), rollback }
  },
  app,
  settle: () => deps.lifetime.settle(),
  seeded,
  startsAt,
  fixtures: {
    adminA: ({ client }) => client(speaksAs(users.adminA)),
    operatorA: ({ client }) => client(speaksAs(users.operatorA)),
    viewerA: ({ client }) => client(speaksAs(users.viewerA)),
    adminB: ({ client }) => client(speaksAs(users.adminB)),
    anonymous: ({ client }) => client(() => ({})),
    model: ({ provider }) => provider as Provider,
  },
})

type Seeded = Awaited<ReturnType<typeof seedUser>>

/** A good token of a seeded user's; a test may change a claim. */
export const tokenOf = ({ external_id, tenant_id, role }: Seeded, lifetimeSeconds = 3600): Promise<string> =>
  signToken({ sub: external_id, tenant_id, role }, jwtConfig, { now: () => startsAt }, lifetimeSeconds)

const tokens = new Map<string, Promise<string>>()
function speaksAs(user: Seeded) {
  return async () => {
    const token = tokens.get(user.id) ?? tokenOf(user, 86_400)
    tokens.set(user.id, token)
    return { authorization: `Bearer ${await token}` }
  }
}

async function seedTenant(slug: string, name: string) {
  return { id: await createTenant({ database, clock: seedClock }, { slug, name }), slug, name }
}

async function seedUser(tenant: { id: string; slug: string }, external_id: string, role: Role) {
  return await createUser({ database, clock: seedClock }, tenant.id, {
    external_id,
    role,
    email: `${external_id}@${tenant.slug}.example`,
  })
}
