import { Webhook } from 'standardwebhooks'
import { jobs } from '../../src/database/tables'
import { openEgress } from '../../src/egress/open'
import { systemClock } from '../../src/ids'
import { emailNotifications } from '../../src/plugins/email-notifications'
import { pluginEvents } from '../../src/plugins/jobs'
import { slackNotifications } from '../../src/plugins/slack-notifications'
import { webhook } from '../../src/plugins/webhook'
import { database, deps, describe, expect, test } from '../kit'
import { speaking } from '../speaking'
import { certificateFor } from '../unit/egress/peers'
import { mailServer } from './mail-server'
import { receiver, storeEnabled } from './plugin-peers'

const certificate = certificateFor('localhost')
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

describe('A chat of a tenant whose plugins send', () => {
  test('reaches each of them with what it asked for, and nobody of another tenant', async (world) => {
    await using http = receiver()
    await using smtp = await mailServer(certificate)
    const plugins = [webhook, slackNotifications, emailNotifications({ ca: certificate.cert })] as const
    const [hook, slack, mail] = plugins
    await storeEnabled(world.tenantA.id, hook, { url: `${http.url}/a`, events: ['reply.completed'], secret })
    await storeEnabled(world.tenantB.id, hook, { url: `${http.url}/b`, events: ['reply.completed'], secret })
    await storeEnabled(world.tenantA.id, slack, { webhook_url: `${http.url}/slack`, events: ['message.created'] })
    await storeEnabled(world.tenantA.id, mail, {
      smtp_host: 'localhost',
      smtp_port: smtp.port,
      from_email: 'tenantry@acme.example',
      to: ['ada@acme.example'],
      events: ['reply.failed', 'reply.completed'],
    })
    world.model.says('The words of the model', { prompt_tokens: 3, completion_tokens: 5 })

    const reply = await speaking(world.users.operatorA, { plugins }).post('/api/v1/chat', {
      message: 'The words of Ada',
    })
    const queued = await database.select().from(jobs)
    const egress = openEgress({ allow: ['127.0.0.1'], resolve: async () => ['127.0.0.1'] })
    const kind = pluginEvents({ ...deps, plugins, egress, clock: systemClock })
    for (const { tenant_id, id, payload } of queued) {
      // Written by `publish`, whose payload is this kind's.
      const { plugin, event } = payload as Parameters<typeof kind.run>[0]
      await kind.run({ plugin, event }, { tenant_id, id, attempt: 1, signal: new AbortController().signal })
    }

    expect(reply.status).toBe(200)
    expect(queued.map(({ tenant_id, payload }) => [tenant_id, payload.plugin]).sort()).toEqual([
      [world.tenantA.id, 'email_notifications'],
      [world.tenantA.id, 'slack_notifications'],
      [world.tenantA.id, 'webhook'],
    ])
    const { conversation_id, message_id } = reply.body
    const posted = http.received.find(({ path }) => path === '/a')
    expect(new Webhook(secret).verify(posted?.body ?? '', posted?.headers ?? {})).toMatchObject({
      type: 'reply.completed',
      data: { conversation_id, message_id, model: 'scripted', prompt_tokens: 3, completion_tokens: 5 },
    })
    expect(http.received.map(({ path }) => path).sort()).toEqual(['/a', '/slack'])
    expect(http.received.find(({ path }) => path === '/slack')?.body).toContain(`in conversation ${conversation_id}.`)
    expect(smtp.arrived.map(({ to }) => to)).toEqual([['ada@acme.example']])
    expect(smtp.arrived[0]?.text).toContain('Subject: A reply was given')
    expect(JSON.stringify([http.received, smtp.arrived])).not.toContain('The words of')
  })
})
