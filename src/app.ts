import { cors } from '@elysiajs/cors'
import { Elysia } from 'elysia'
import { requestHook } from './analytics/hook'
import { analyticsRoutes } from './analytics/routes'
import { auditRoutes } from './audit/routes'
import { access as accessModule, requirePolicies } from './auth/access'
import { chatRoutes } from './chat/routes'
import { conversationRoutes } from './conversations/routes'
import { dashboardRoutes } from './dashboard/routes'
import type { Deps } from './deps'
import { envelope } from './envelope'
import { healthRoutes } from './health/routes'
import { jobRoutes } from './jobs/routes'
import { metricsRoutes } from './metrics/routes'
import { openapiRoutes } from './openapi/routes'
import { requirePlugins } from './plugins/requirements'
import { pluginRoutes } from './plugins/routes'
import { tenantRoutes } from './tenants/routes'
import { meRoutes, userRoutes } from './users/routes'

/** The service as a value: it listens nowhere, reads no environment and opens nothing. Throws when a route declares no policy, or a plugin is not as it has to be. */
export function buildApp(deps: Deps) {
  requirePlugins(deps.plugins)
  const access = accessModule(deps)
  const app = new Elysia({
    normalize: false, // what a schema does not know is refused, not dropped
    handler: { standardHostname: false }, // else a short Host header shifts the path that is routed
    serve: { idleTimeout: 255, maxRequestBodySize: 16 * 1024 * 1024, reusePort: false },
  })
    .use(requestHook(deps))
    .use(envelope({ reporter: deps.reporter, methodsAt }))
    .use(crossOrigin(deps.corsOrigins))
    .use(healthRoutes(deps, access))
    .use(metricsRoutes(deps, access))
    .use(meRoutes(deps, access))
    .use(conversationRoutes(deps, access))
    .use(chatRoutes(deps, access))
    .use(userRoutes(deps, access))
    .use(tenantRoutes(deps, access))
    .use(pluginRoutes(deps, access))
    .use(auditRoutes(deps, access))
    .use(jobRoutes(deps, access))
    .use(analyticsRoutes(deps, access))
  if (deps.dashboard) app.use(dashboardRoutes(access))
  if (deps.openapi) app.use(openapiRoutes(deps, access, () => app))

  /** What would have been found at this path with another method, for 405. HEAD comes with GET. */
  function methodsAt(path: string): string[] {
    const here = app.routes.filter((route) => route.method !== 'OPTIONS' && fits(route.path, path))
    return [...new Set(here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : method)))].sort()
  }

  requirePolicies(app)
  return app
}

export type App = ReturnType<typeof buildApp>

const fits = (pattern: string, path: string): boolean => {
  const [wanted, given] = [pattern.split('/'), path.replace(/\/$/, '').split('/')]
  return (
    wanted.length === given.length &&
    wanted.every((part, at) => part === given[at] || (part.startsWith(':') && given[at] !== ''))
  )
}

/** Exactly the listed origins, and none when none is listed; never with cookies, which nothing here uses. */
function crossOrigin(origins: readonly string[]) {
  if (origins.length === 0) return new Elysia()
  const listed = new Set(origins)
  return cors({
    origin: (request) => listed.has(request.headers.get('origin') ?? ''),
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'x-request-id'],
    exposeHeaders: [
      ...['x-request-id', 'x-total-count', 'link', 'server-timing', 'retry-after', 'idempotency-replayed'],
      ...['x-conversation-id', 'ratelimit', 'ratelimit-policy'],
    ],
    credentials: false,
    maxAge: 600,
  })
}
