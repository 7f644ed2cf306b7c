import { Recorder, recorderLimits } from '../src/analytics/recorder'
import { buildApp } from '../src/app'
import type { Role } from '../src/auth/policy'
import { signToken, tokenVerifier } from '../src/auth/tokens'
import { connect } from '../src/database/database'
import { acrossTenants } from '../src/database/reach'
import { Scope } from '../src/database/session'
import type { Deps } from '../src/deps'
import { openEgress } from '../src/egress/open'
import { JobBell } from '../src/jobs/job'
import { jobKinds } from '../src/jobs/kinds'
import { JobWorker } from '../src/jobs/worker'
import { Lifetime } from '../src/lifetime'
import { Metrics, type Sources } from '../src/metrics/metrics'
import { readBacklog } from '../src/metrics/queue'
import { openFiles } from '../src/plugins/files'
import { plugins } from '../src/plugins/registry'
import type { ProviderRequest } from '../src/providers/provider'
import { buildSealer } from '../src/sealing'
import { createTenant } from '../src/tenants/store'
import { createKit, type Door, type FixturesOf, outside, type ScriptedModel } from '../src/testing'
import type { User } from '../src/users/schema'
import { createUser } from '../src/users/store'
import { testPlugins } from './plugins'
import { runDatabase } from './setup'

export { expect } from '../src/testing'

export const jwtConfig = {
  secret: 'kR7v2XwQ9mZp4TnB8sLd3FhJ6cYg1AeU',
  issuer: undefined,
  audience: 'tenantry',
  jwksUrl: undefined,
}
export const encryptionKey = 'vMq83RWeJ5Td0kP7xI2cLs9hZfNyA4uGb6OoEw1XQrk='
export const startsAt = new Date('2026-03-02T09:00:00.000Z')

// Statements go to the database of the running test; this connection itself is never used.
const { database, ping, load } = connect(runDatabase.url)

export { database }

/** The kit's way into our database: every statement asks for its scope, so a test's session is put there. */
const door: Door = {
  open: (source) => {
    const { root, serialize, [Symbol.asyncDispose]: close } = connect(source)
    return { session: root.session, ...(serialize && { serialize }), close }
  },
  // A test looks at the rows of both tenants; the requests that it makes begin as nobody's.
  enter: (session, work) => new Scope(session).enter(() => acrossTenants('a test sees everything', work)),
}

/**
 * The guard as it is, with a way out that ends at the test: every name is public, and what is sent is fetched by its
 * URL, for which the test scripts an answer (`http.on`). Loopback is really there, for peers on this machine.
 */
const egress = openEgress({
  allow: ['127.0.0.1'],
  resolve: async (hostname) => [hostname === 'localhost' ? '127.0.0.1' : '93.184.215.14'],
  send: (_, url, init) => fetch(url, init),
})
/** The request records of each sandbox apart: a batch is written where its requests were made, when the test settles. */
const recorders = new WeakMap<object, Recorder>()
const quiet = { info: () => {}, warn: () => {}, unexpected: outside.unexpected }
export function recorderHere(): Recorder {
  const sandbox = Scope.current()?.session
  if (!sandbox) throw new Error('There is no sandbox here to record requests in.')
  const recorder = recorders.get(sandbox) ?? new Recorder(database, quiet, { ...recorderLimits, everyMs: 0 })
  recorders.set(sandbox, recorder)
  return recorder
}

/** Counts from nothing; a test that reads counts builds an app with its own. */
export const newMetrics = (changes: Partial<Sources> = {}) =>
  new Metrics({
    version: '0.0.0-test',
    backlog: () => readBacklog({ database, clock: outside.clock }),
    databaseLoad: load,
    dropped: () => recorderHere().dropped,
    delays: () => undefined,
    ...changes,
  })
export const metricsToken = 'b3BlbnMgL21ldHJpY3M'
const metrics = newMetrics()

/** The app's own dependencies, as tests have them; a test that needs other ones builds another app from these. */
export const deps: Deps = {
  database,
  ping,
  verifyToken: tokenVerifier(jwtConfig, outside.clock, egress),
  provider: outside.provider,
  defaultModel: 'scripted',
  clock: outside.clock,
  // A request takes as long as the test's clock was moved while it ran.
  stopwatch: () => outside.clock.now().getTime(),
  observers: [(seen) => recorderHere().record(seen), metrics.request],
  metrics,
  metricsToken,
  reporter: quiet,
  lifetime: new Lifetime(outside.unexpected),
  plugins: [...plugins, ...testPlugins],
  egress,
  sealer: buildSealer({ current: encryptionKey, previous: undefined }),
  files: openFiles(undefined),
  jobBell: new JobBell(),
  limits: {
    provider: { totalMs: 2000, firstByteMs: 1000, idleMs: 1000, retryMs: 1, longestReply: 100_000 },
    heartbeatMs: 60_000,
  },
  corsOrigins: [],
  openapi: true,
  dashboard: true,
  version: '0.0.0-test',
}

export const app = buildApp(deps)

/** Works on what a test queues as soon as it is committed; `settle()` waits for it. Later jobs wait for another ring. */
let worker: JobWorker | undefined // not made before there is a job, because a run without any is over sooner
deps.jobBell.onRing(() => {
  worker ??= new JobWorker(deps, { kinds: jobKinds(deps), onAttempt: metrics.jobAttempt })
  const awake = worker
  outside.background(() => deps.lifetime.run(() => awake.runDue()))
})

type Provider = ScriptedModel<ProviderRequest>

export const kit = await createKit({
  run: runDatabase,
  door,
  app,
  // Read only where there are tables to make, because the text of every migration comes with it.
  prepare: async (session) => {
    const { migrate } = await import('../src/database/migrate')
    await migrate(new Scope(session))
  },
  seed,
  settle: async ({ testIsOver }) => {
    await deps.lifetime.settle()
    if (!testIsOver) await recorderHere().flush()
  },
  startsAt,
  lints: {
    tenantColumn: 'tenant_id',
    allow: [
      {
        lint: 'no-tenant',
        request: /^GET \/metrics$/,
        statement: /^with "due" as/,
        because: 'the queue is one for all tenants, and only its length is told, to who runs the service',
      },
      {
        lint: 'not-in-one-transaction',
        statement: /^update "tenant_plugins" set "failure_count"/,
        because: 'that a plugin failed is noted by itself, and stays noted whatever becomes of the request',
      },
      {
        lint: 'not-in-one-transaction',
        statement: /"(request_windows|quota_months|quota_reservations)"/,
        request: /^POST \/api\/v1\/chat$/,
        because:
          'limits are reserved before a reply and settled after it; a crash between is made good by reconcile.ts',
      },
    ],
  },
  inSavepoints: [
    { statement: /^with "first" as \(select .* from "jobs"/, because: 'a test has one worker, which meets no locks' },
  ],
  fixtures: {
    adminA: ({ client, users }) => client(speaksAs(users.adminA)),
    operatorA: ({ client, users }) => client(speaksAs(users.operatorA)),
    viewerA: ({ client, users }) => client(speaksAs(users.viewerA)),
    adminB: ({ client, users }) => client(speaksAs(users.adminB)),
    anonymous: ({ client }) => client(() => ({})),
    model: ({ provider }) => provider as Provider,
  },
})
/**
 * One by one on Postgres, unless a test says otherwise: all are of the same two tenants, and what is counted of a tenant
 * stands in rows that a test keeps locked until its end, so that others would wait for it.
 */
const isShared = runDatabase.dialect === 'postgres'
export const test = isShared ? kit.test.serial : kit.test
export const describe = isShared ? kit.describe.serial : kit.describe
/** What a test of ours may name in its parameter. */
export type Fixtures = FixturesOf<typeof kit>

/** A good token of a seeded user's; a test may change a claim. */
export const tokenOf = ({ external_id, tenant_id, role }: User, lifetimeSeconds = 3600): Promise<string> =>
  signToken({ sub: external_id, tenant_id, role }, jwtConfig, { now: () => startsAt }, lifetimeSeconds)

const tokens = new Map<string, Promise<string>>()
function speaksAs(user: User) {
  return async () => {
    const token = tokens.get(user.id) ?? tokenOf(user, 86_400)
    tokens.set(user.id, token)
    return { authorization: `Bearer ${await token}` }
  }
}

/** Two tenants whose people have the same names; what isolates them is not that they differ. */
async function seed() {
  const clock = { now: () => startsAt }
  const tenant = async (slug: string, name: string) => ({
    id: await createTenant({ database, clock }, { slug, name }),
    slug,
    name,
  })
  const user = (of: { id: string; slug: string }, external_id: string, role: Role) =>
    createUser({ database, clock }, of.id, { external_id, role, email: `${external_id}@${of.slug}.example` })

  const tenantA = await tenant('acme', 'Acme')
  const tenantB = await tenant('globex', 'Globex')
  const users = {
    adminA: await user(tenantA, 'ada', 'admin'),
    operatorA: await user(tenantA, 'olivia', 'operator'),
    viewerA: await user(tenantA, 'vera', 'viewer'),
    adminB: await user(tenantB, 'ada', 'admin'),
  }
  return { tenantA, tenantB, users }
}
