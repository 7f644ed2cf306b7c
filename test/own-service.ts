import { Recorder, recorderLimits } from '../src/analytics/recorder'
import { buildApp } from '../src/app'
import { signToken, tokenVerifier } from '../src/auth/tokens'
import { asTenant } from '../src/database/reach'
import type { Deps } from '../src/deps'
import { openEgress } from '../src/egress/open'
import { systemClock } from '../src/ids'
import { JobBell } from '../src/jobs/job'
import { jobKinds } from '../src/jobs/kinds'
import { JobWorker } from '../src/jobs/worker'
import { Lifetime } from '../src/lifetime'
import { watchEventLoop } from '../src/metrics/event-loop'
import { Metrics } from '../src/metrics/metrics'
import { readBacklog } from '../src/metrics/queue'
import type { Provider } from '../src/providers/provider'
import { createTenant } from '../src/tenants/store'
import { type Client, client } from '../src/testing'
import { createUser } from '../src/users/store'
import { jwtConfig, deps as kitDeps } from './kit'
import { ownDatabase } from './own-database'

/** A service on a database of its own, for what a sandbox cannot show: real sockets, real commits, many connections. */
export type OwnService = AsyncDisposable & {
  deps: Deps
  /** Speaks with it inside the process. */
  operator: Client
  /** Listens on loopback; returns where. */
  listen(): string
  /** Resolves when nothing is on its way any longer: no request, and no work that outlives one. */
  settle(): Promise<void>
  /** Of the operator. */
  headers: { authorization: string; 'content-type': string }
  /** What the app found unexpected so far. */
  errors: unknown[]
}

/** Use it outside the kit's `test`, whose sandbox would take its queries. */
export async function ownService(provider: Provider, changes: Partial<Deps> = {}): Promise<OwnService> {
  const connection = await ownDatabase()
  const { database } = connection
  const errors: unknown[] = []
  const unexpected = (error: unknown) => void errors.push(error)
  // Outside the kit's tests nothing is scripted: it goes to peers on this machine, and no name leads anywhere.
  const egress = openEgress({ allow: ['127.0.0.1'], resolve: async () => [] })
  const reporter = { info: () => {}, warn: unexpected, unexpected }
  const recorder = new Recorder(database, reporter, { ...recorderLimits, everyMs: 0 })
  const metrics = new Metrics({
    version: kitDeps.version,
    backlog: () => readBacklog({ database, clock: systemClock }),
    databaseLoad: connection.load,
    dropped: () => recorder.dropped,
    delays: watchEventLoop(),
  })
  const deps: Deps = {
    ...kitDeps,
    database,
    provider,
    ping: connection.ping,
    verifyToken: tokenVerifier(jwtConfig, systemClock, egress),
    clock: systemClock,
    stopwatch: () => performance.now(),
    observers: [recorder.record, metrics.request],
    metrics,
    reporter,
    lifetime: new Lifetime(unexpected),
    egress,
    jobBell: new JobBell(),
    ...changes,
  }
  const tenant_id = await createTenant(deps, { slug: 'acme', name: 'Acme' })
  const user = { external_id: 'olivia', role: 'operator', email: 'olivia@acme.example' } as const
  await asTenant(tenant_id, () => createUser(deps, tenant_id, user))
  const token = await signToken({ sub: 'olivia', tenant_id, role: 'operator' }, jwtConfig, systemClock, 3600)
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const app = buildApp(deps)
  const worker = new JobWorker(deps, { kinds: jobKinds(deps), onAttempt: metrics.jobAttempt })
  deps.jobBell.onRing(() => deps.lifetime.run(() => worker.runDue()))

  return {
    deps,
    headers,
    errors,
    operator: client(
      (request) => app.handle(request),
      () => headers,
    ),
    listen() {
      app.listen({ port: 0, hostname: '127.0.0.1' })
      return app.server?.url.origin ?? ''
    },
    async settle() {
      // Bun tells nobody when a request whose caller left is over.
      while ((app.server?.pendingRequests ?? 0) > 0) await new Promise((resolve) => setImmediate(resolve))
      await deps.lifetime.settle()
      await recorder.flush()
    },
    [Symbol.asyncDispose]: async () => {
      await app.server?.stop(true)
      await deps.lifetime.settle()
      await recorder.flush()
      await connection[Symbol.asyncDispose]()
    },
  }
}
