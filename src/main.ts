import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import packageJson from '../package.json' with { type: 'json' }
import { buildApp } from './app'
import { tokenVerifier } from './auth/tokens'
import { heartbeatMs } from './chat/stream'
import { type Config, developmentSecretFile, readConfig } from './config'
import { connect } from './database/database'
import { migrate } from './database/migrate'
import { systemClock } from './ids'
import { Lifetime } from './lifetime'
import { echoProvider } from './providers/echo'
import type { Provider } from './providers/provider'
import { lineReporter, type Reporter } from './reporter'

/** How long running requests may take after SIGTERM before they are cut, in ms. */
const graceMs = 10_000

/** The whole life of the process: configuration, database, app, listening; then, upon a signal, draining and a clean end. */
export async function serve(config: Config = readConfig(process.env)): Promise<{ url: string }> {
  const reporter = lineReporter(config.logLevel, config.environment === 'production' ? 'json' : 'words')
  process.on('unhandledRejection', (error) => reporter.unexpected(error, { doing: 'something that nobody awaited' }))

  const connection = connect(config.databaseUrl)
  const applied = await migrate(connection.root)
  if (applied.length > 0) reporter.info('The database was migrated.', { migrations: applied.join(',') })

  const lifetime = new Lifetime((error) => reporter.unexpected(error, { doing: 'background work' }))
  const app = buildApp({
    database: connection.database,
    ping: connection.ping,
    verifyToken: tokenVerifier({ ...config.jwt, secret: config.jwt.secret ?? developmentSecret(config) }, systemClock),
    provider: await openProvider(config.provider, reporter),
    defaultModel: config.provider.model,
    clock: systemClock,
    reporter,
    lifetime,
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
    version: packageJson.version,
  })

  app.listen({ hostname: config.host, port: config.port })
  const server = app.server
  if (!server) throw new Error('The server did not start.')
  reporter.info('Tenantry listens.', {
    url: server.url.origin,
    version: packageJson.version,
    environment: config.environment,
  })

  const end = async (signal: string) => {
    reporter.info('Ending: no new requests, running ones may finish.', { signal, grace_ms: graceMs })
    lifetime.drain()
    const stopped = server.stop()
    await lifetime.end(graceMs)
    // What still runs is not a reply; what only holds a connection open is idle.
    await Promise.race([stopped, Bun.sleep(server.pendingRequests > 0 ? 1000 : 50)])
    await server.stop(true)
    await connection[Symbol.asyncDispose]()
    reporter.info('Ended.')
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end(signal))

  return { url: server.url.origin }
}

async function openProvider({ baseUrl, apiKey }: Config['provider'], reporter: Reporter): Promise<Provider> {
  if (baseUrl === undefined) {
    reporter.warn('No PROVIDER_BASE_URL is set: the built-in echo model answers.')
    return echoProvider
  }
  // Loaded when it is needed: the client is large.
  const { openaiProvider } = await import('./providers/openai')
  return openaiProvider({ baseUrl, apiKey })
}

/** In development a missing secret is made once and kept beside the database; production does not start without one. */
export function developmentSecret({ environment, databaseUrl }: Config): string | undefined {
  if (environment !== 'development') return undefined
  const path = developmentSecretFile(databaseUrl)
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, Buffer.from(crypto.getRandomValues(new Uint8Array(48))).toString('base64'), { mode: 0o600 })
  }
  chmodSync(path, 0o600)
  return readFileSync(path, 'utf8').trim()
}

if (import.meta.main) await serve()
