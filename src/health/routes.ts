import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access, Deps } from '../deps'
import { inTime } from '../in-time'
import { oneOf, shape } from '../schema'

const Health = shape({ status: oneOf('healthy'), version: Type.String(), uptime_seconds: Type.Number() })
const Ready = shape({ status: oneOf('ready') })
const NotReady = shape({ status: oneOf('not_ready') })

/** How long readiness waits for the database, in ms. */
const patienceMs = 1000

/** Alive says that the process runs and never touches the database; ready says that requests can be served now. */
export const healthRoutes = ({ ping, lifetime, version }: Deps, access: Access) => {
  const startedAt = performance.now()
  const healthy = () => ({
    status: 'healthy' as const,
    version,
    uptime_seconds: Math.floor((performance.now() - startedAt) / 1000),
  })

  return new Elysia({ prefix: '/health', tags: ['Health'] })
    .use(access)
    .get('', healthy, { public: true, response: { 200: Health }, detail: { summary: 'Whether the process runs' } })
    .get('/live', healthy, {
      public: true,
      response: { 200: Health },
      detail: { summary: 'The same, by the name that orchestrators use' },
    })
    .get(
      '/ready',
      async ({ status }) => {
        const ready = !lifetime.draining && (await answers(ping))
        return ready ? { status: 'ready' as const } : status(503, { status: 'not_ready' as const })
      },
      {
        public: true,
        response: { 200: Ready, 503: NotReady },
        detail: { summary: 'Whether requests can be served now' },
      },
    )
}

/** Says nothing of why not: readiness is public. */
const answers = (ping: () => Promise<void>): Promise<boolean> =>
  inTime(ping(), { ms: patienceMs }).then(
    () => true,
    () => false,
  )
