import { tenant_plugins } from '../../src/database/tables'
import { openEgress } from '../../src/egress/open'
import { analyticsExport } from '../../src/plugins/analytics-export/analytics-export'
import { emailNotifications } from '../../src/plugins/email-notifications'
import { pluginEvents, pluginSchedules } from '../../src/plugins/jobs'
import type { Plugin } from '../../src/plugins/plugin'
import { slackNotifications } from '../../src/plugins/slack-notifications'
import { webhook } from '../../src/plugins/webhook'
import { database, deps, describe, expect, startsAt, test } from '../kit'
import { certificateFor, listening } from '../unit/egress/peers'
import { mailServer, refusal } from './mail-server'
import { eventId, receiver, replied, storeEnabled } from './plugin-peers'

const canary = 'canary/4f1d'
const certificate = certificateFor('localhost')
const mail = emailNotifications({ ca: certificate.cert })
const events = ['reply.completed']

const configs: { plugin: Plugin; configAt: (port: number) => Record<string, unknown> }[] = [
  {
    plugin: webhook,
    configAt: (port) => ({
      url: `http://127.0.0.1:${port}/hook`,
      events,
      secret: `whsec_${Buffer.from(canary.repeat(3)).toString('base64')}`,
    }),
  },
  { plugin: slackNotifications, configAt: (port) => ({ webhook_url: `http://127.0.0.1:${port}/${canary}`, events }) },
  {
    plugin: mail,
    configAt: (port) => ({
      smtp_host: 'localhost',
      smtp_port: port,
      username: 'acme',
      password: canary,
      from_email: 'tenantry@acme.example',
      to: ['ada@acme.example'],
      events,
    }),
  },
  {
    plugin: analyticsExport,
    configAt: (port) => ({
      export_format: 'csv',
      schedule: '@daily',
      destination: 's3',
      s3_endpoint: `http://127.0.0.1:${port}`,
      s3_bucket: 'acme-usage',
      s3_access_key_id: 'AKIDEXAMPLE',
      s3_secret_access_key: canary,
    }),
  },
]

/** All that may be seen of one job of a plugin: what it threw, what was logged, and what the database holds. */
async function seen(tenant_id: string, plugin: Plugin, config: Record<string, unknown>) {
  const warnings: unknown[] = []
  const world = {
    ...deps,
    plugins: [plugin],
    egress: openEgress({ allow: ['127.0.0.1'] }),
    reporter: { ...deps.reporter, warn: (...said: unknown[]) => void warnings.push(said) },
  }
  await storeEnabled(tenant_id, plugin, config)
  const job = { tenant_id, id: eventId, attempt: 1, signal: new AbortController().signal }
  const { type, occurred_at, data } = replied

  const work = plugin.schedule
    ? pluginSchedules(world).run({ plugin: plugin.name, at: startsAt.toISOString() }, job)
    : pluginEvents(world).run({ plugin: plugin.name, event: { type, occurred_at, data } }, job)
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  )

  await world.lifetime.settle()
  const rows = await database.select().from(tenant_plugins)
  return { thrown, all: Bun.inspect({ thrown, warnings, rows }, { depth: 20 }), failures: rows[0]?.failure_count }
}

const hidden = [canary, encodeURIComponent(canary), Buffer.from(canary.repeat(3)).toString('base64')]
const leaksIn = (text: string) => hidden.filter((secret) => text.includes(secret))

describe('What can be seen of a plugin that sends', () => {
  for (const { plugin, configAt } of configs) {
    test(`holds no secret where the other side refuses: ${plugin.name}`, async ({ tenantA }) => {
      const told: string[] = []
      await using http = receiver(() => new Response(canary, { status: 403, statusText: canary }))
      await using smtp = await mailServer({
        ...certificate,
        onAuth({ password }, _session, callback) {
          told.push(password ?? '')
          callback(refusal(535, `not ${password}`))
        },
      })
      const port = plugin === mail ? smtp.port : Number(new URL(http.url).port)

      const { thrown, all, failures } = await seen(tenantA.id, plugin, configAt(port))

      expect(thrown).toMatchObject({ name: 'HopelessJob', message: expect.stringMatching(/\((535)\)|answered 403/) })
      expect([leaksIn(all), failures]).toEqual([[], 1])
      // Two of them never tell it to anybody.
      const shown = leaksIn(JSON.stringify([http.received, told]))
      expect(shown).toEqual(plugin === webhook || plugin === analyticsExport ? [] : [canary])
      expect([http.received.length, smtp.connections()]).toEqual(plugin === mail ? [0, 1] : [1, 0])
    })

    test(`holds no secret where nobody answers: ${plugin.name}`, async ({ tenantA }) => {
      const { port } = await closed()

      const { thrown, all, failures } = await seen(tenantA.id, plugin, configAt(port))

      expect(thrown).toMatchObject({ name: 'EgressError', kind: 'failed' })
      expect([leaksIn(all), failures]).toEqual([[], 1])
    })
  }
})

/** A port that nobody listens on any longer. */
async function closed() {
  await using server = await listening()
  return { port: server.port }
}
