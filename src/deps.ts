import type { Observer, Stopwatch } from './analytics/hook'
import type { access } from './auth/access'
import type { VerifyToken } from './auth/tokens'
import type { Database } from './database/database'
import type { Egress } from './egress/egress'
import type { Clock } from './ids'
import type { JobBell } from './jobs/job'
import type { Lifetime } from './lifetime'
import type { Metrics } from './metrics/metrics'
import type { Plugin, TenantFiles } from './plugins/plugin'
import type { ProviderLimits } from './providers/ask'
import type { Provider } from './providers/provider'
import type { Reporter } from './reporter'
import type { Sealer } from './sealing'

/** All that the app takes from outside. Whoever has these can build it: main.ts for the world, a test for a sandbox. */
export type Deps = {
  readonly database: Database
  /** Resolves when the database answers. */
  readonly ping: () => Promise<void>
  readonly verifyToken: VerifyToken
  readonly provider: Provider
  /** For a chat that names no model, of a tenant that has no default. */
  readonly defaultModel: string
  readonly clock: Clock
  readonly stopwatch: Stopwatch
  /** Hear of every request. */
  readonly observers: readonly Observer[]
  readonly metrics: Metrics
  /** Opens /metrics to who sends it; without one, it is open to this machine. */
  readonly metricsToken: string | undefined
  readonly reporter: Reporter
  readonly lifetime: Lifetime
  /** All that tenants may switch on, in the order in which they act. */
  readonly plugins: readonly Plugin[]
  readonly egress: Egress
  readonly sealer: Sealer
  readonly files: (tenant_id: string) => TenantFiles
  readonly jobBell: JobBell
  readonly limits: { readonly provider: ProviderLimits; readonly heartbeatMs: number }
  /** Exact origins whose pages may call the service. */
  readonly corsOrigins: readonly string[]
  readonly openapi: boolean
  readonly dashboard: boolean
  readonly version: string
}

/** The module that knows who may call what; every feature's routes use it. */
export type Access = ReturnType<typeof access>
