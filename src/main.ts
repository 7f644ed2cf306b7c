import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import packageJson from '../package.json' with { type: 'json' }
import { Recorder } from './analytics/recorder'
import { buildApp } from './app'
import { tokenVerifier } from './auth/tokens'
import { heartbeatMs } from './chat/stream'
import { type Config, developmentFile } from './config'
import type { Database } from './database/database'
import { openDatabase } from './database/open'
import { acrossTenants } from './database/reach'
import { requireBoundRole } from './database/role'
import type { Deps } from './deps'
import { openEgress } from './egress/open'
import { systemClock } from './ids'
import { JobBell } from './jobs/job'
import { everyTenant, jobKinds } from './jobs/kinds'
import { JobWorker } from './jobs/worker'
import { Lifetime } from './lifetime'
import { watchEventLoop } from './metrics/event-loop'
import { Metrics } from './metrics/metrics'
import { readBacklog } from './metrics/queue'
import { openFiles, requireFolder } from './plugins/files'
import { requireKeys } from './plugins/keys'
import { plugins } from './plugins/registry'
import { echoProvider } from './providers/echo'
import type { Provider } from './providers/provider'
import { reconcileQuotas } from './quotas/reconcile'
import { lineReporter, type Reporter } from './reporter'
import { requestLog } from './request-log'
import { buildSealer } from './sealing'

/**
 * The whole life of the process: database, app, listening; then, upon SIGTERM or SIGINT, draining and a clean end.
 * Resolves when it listens. Throws when the database cannot be opened or the port is taken.
 */
export async function serve(config: Config): Promise<{ url: string; database: Database }> {
  const reporter = lineReporter(config.logLevel, config.environment === 'production' ? 'json' : 'words')
  // A log that nobody takes any more (its disk is full, its reader is gone) is no reason to end.
  process.stderr.on('error', () => {})
  process.on('unhandledRejection', (error) => reporter.unexpected(error, { doing: 'something that nobody awaited' }))

  // From the beginning: the first process of a container does not hear of a signal that it has no handler for.
  let end = (signal: string): void => {
    reporter.info('Ended before it listened.', { signal })
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => end(signal))

  if (config.exportDir !== undefined && config.jobsConcurrency > 0) await requireFolder(config.exportDir)
  const { connection, applied } = await openDatabase(config, { migrates: config.migrateOnStart })
  if (applied.length > 0) reporter.info('The database was migrated.', { migrations: applied.join(',') })

  const sealer = buildSealer({
    current: config.encryptionKey ?? developmentKey(config),
    previous: config.encryptionKeyPrevious,
  })
  const fit = async () => {
    if (config.rowLevelSecurity) await requireBoundRole(connection.root)
    await acrossTenants('secrets of any tenant need their key', () => requireKeys(connection.database, sealer))
  }
  await fit().catch(async (error) => {
    await connection[Symbol.asyncDispose]()
    throw error
  })

  // Only makes good what a process left behind that was killed: without it, quotas are a little too strict for a while.
  const reconciled = () => reconcileQuotas({ database: connection.database, clock: systemClock })
  await acrossTenants('a process that was killed had replies of many tenants', reconciled).catch((error: unknown) =>
    reporter.unexpected(error, { doing: 'reconciling token quotas' }),
  )

  const lifetime = new Lifetime((error) => reporter.unexpected(error, { doing: 'background work' }))
  const egress = openEgress({ allow: config.egressAllow })
  const recorder = new Recorder(connection.database, reporter)
  const metrics = new Metrics({
    version: packageJson.version,
    backlog: () => readBacklog({ database: connection.database, clock: systemClock }),
    databaseLoad: connection.load,
    dropped: () => recorder.dropped,
    delays: watchEventLoop(),
  })
  const deps: Deps = {
    database: connection.database,
    ping: connection.ping,
    verifyToken: tokenVerifier(
      { ...config.jwt, secret: config.jwt.secret ?? developmentSecret(config) },
      systemClock,
      egress,
    ),
    provider: openProvider(config.provider, reporter),
    defaultModel: config.provider.model,
    clock: systemClock,
    stopwatch: () => performance.now(),
    observers: [recorder.record, metrics.request, requestLog(reporter)],
    metrics,
    metricsToken: config.metricsToken,
    reporter,
    lifetime,
    plugins,
    egress,
    sealer,
    files: openFiles(config.exportDir),
    jobBell: new JobBell(),
    limits: {
      provider: {
        totalMs: config.provider.timeoutMs,
        firstByteMs: config.provider.firstByteTimeoutMs,
        idleMs: config.provider.idleTimeoutMs,
        retryMs: 250,
        longestReply: 1024 * 1024,
      },
      heartbeatMs,
    },
    corsOrigins: config.corsOrigins,
    openapi: config.openapi,
    dashboard: config.dashboard,
    version: packageJson.version,
  }
  const app = buildApp(deps)
  const worker = new JobWorker(deps, {
    kinds: jobKinds(deps),
    everyTenant,
    concurrency: config.jobsConcurrency,
    onAttempt: metrics.jobAttempt,
  })

  try {
    app.listen({ hostname: config.host, port: config.port })
  } catch (cause) {
    throw new Error(`The server cannot listen on port ${config.port}; look at HOST and PORT`, { cause })
  }
  const server = app.server
  if (!server) throw new Error('The server did not start.')
  reporter.info('Tenantry listens.', {
    url: server.url.origin,
    version: packageJson.version,
    environment: config.environment,
  })

  if (config.jobsConcurrency > 0) worker.start()

  const drain = async (signal: string) => {
    reporter.info('Ending: no new requests, running ones may finish.', { signal, grace_ms: config.shutdownGraceMs })
    // Closes the port and idle connections at once, and resolves when the last running request is answered.
    lifetime.run(() => server.stop())
    lifetime.run(() => worker.drain())
    await lifetime.end(config.shutdownGraceMs)
    await server.stop(true)
    await recorder.flush()
    const lost = recorder.dropped + recorder.waiting
    if (lost > 0) reporter.warn('Request records were lost.', { lost })
    await connection[Symbol.asyncDispose]()
    reporter.info('Ended.')
  }
  const exit = (signal: string) =>
    drain(signal).then(
      () => process.exit(0),
      (error) => {
        reporter.unexpected(error, { doing: 'ending' })
        process.exit(1)
      },
    )
  // Whoever asks a second time does not want to wait for the grace.
  end = (signal) => (lifetime.draining ? lifetime.cut() : void exit(signal))

  return { url: server.url.origin, database: connection.database }
}

function openProvider({ baseUrl, apiKey }: Config['provider'], reporter: Reporter): Provider {
  if (baseUrl === undefined) {
    reporter.warn('No PROVIDER_BASE_URL is set: the built-in echo model answers.')
    return echoProvider
  }
  // Loaded by the first question: the client is large, and would make every start longer.
  let opened: Promise<Provider> | undefined
  const opening = async () => (await import('./providers/openai')).openaiProvider({ baseUrl, apiKey })
  return {
    async *reply(request, options) {
      opened ??= opening()
      yield* (await opened).reply(request, options)
    },
  }
}

/** In development a missing secret is made once and kept beside the database; production does not start without one. */
export const developmentSecret = ({ environment, databaseUrl }: Config): string | undefined =>
  environment === 'development' ? kept(developmentFile(databaseUrl, '.jwt-secret'), 48) : undefined

/** As the secret; production without one runs, and keeps no secrets for its tenants. */
const developmentKey = ({ environment, databaseUrl }: Config): string | undefined =>
  environment === 'development' ? kept(developmentFile(databaseUrl, '.encryption-key'), 32) : undefined

function kept(path: string, bytes: number): string {
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('base64'), { mode: 0o600 })
  }
  chmodSync(path, 0o600)
  return readFileSync(path, 'utf8').trim()
}
