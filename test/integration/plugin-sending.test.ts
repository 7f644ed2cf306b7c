import { afterAll } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { openEgress } from '../../src/egress/open'
import { analyticsExport } from '../../src/plugins/analytics-export/analytics-export'
import { emailNotifications } from '../../src/plugins/email-notifications'
import { openFiles } from '../../src/plugins/files'
import { slackNotifications } from '../../src/plugins/slack-notifications'
import { webhook } from '../../src/plugins/webhook'
import { describe, expect, startsAt, test } from '../kit'
import { certificateFor } from '../unit/egress/peers'
import { peopleWith } from '../with-plugins'
import { mailServer } from './mail-server'
import { receiver } from './plugin-peers'

const root = mkdtempSync(join(tmpdir(), 'tenantry-sending-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const certificate = certificateFor('localhost')
const mail = emailNotifications({ ca: certificate.cert })
const egress = openEgress({ allow: ['127.0.0.1'], resolve: async () => ['127.0.0.1'] })

describe('A chat of a tenant whose plugins send', () => {
  test('reaches each of them with what it asked for, and nobody of another tenant', async (world) => {
    await using http = receiver()
    await using smtp = await mailServer(certificate)
    const people = peopleWith(world, [webhook, slackNotifications, mail], { egress })
    const enable = (admin: typeof people.adminA, name: string, config: object) =>
      admin.post(`/api/v1/plugins/${name}/enable`, { config })
    const hooked = await enable(people.adminA, 'webhook', { url: `${http.url}/a`, events: ['reply.completed'] })
    await enable(people.adminB, 'webhook', { url: `${http.url}/b`, events: ['reply.completed'] })
    await enable(people.adminA, 'slack_notifications', {
      webhook_url: `${http.url}/slack`,
      events: ['message.created'],
    })
    await enable(people.adminA, 'email_notifications', {
      smtp_host: 'localhost',
      smtp_port: smtp.port,
      from_email: 'tenantry@acme.example',
      to: ['ada@acme.example'],
      events: ['reply.failed', 'reply.completed'],
    })
    world.model.says('The words of the model', { prompt_tokens: 3, completion_tokens: 5 })

    const reply = await people.operatorA.post('/api/v1/chat', { message: 'The words of Ada' })
    await world.settle()

    expect(reply.status).toBe(200)
    expect(http.received.map(({ path }) => path).sort()).toEqual(['/a', '/slack'])
    const { conversation_id, message_id } = reply.body
    const posted = http.received.find(({ path }) => path === '/a')
    const { 'webhook-id': id = '', 'webhook-signature': signature } = posted?.headers ?? {}
    expect(signature).toBe(new Webhook(hooked.body.generated.secret).sign(id, startsAt, posted?.body ?? ''))
    expect(JSON.parse(posted?.body ?? '')).toMatchObject({
      type: 'reply.completed',
      data: { conversation_id, message_id, model: 'scripted', prompt_tokens: 3, completion_tokens: 5 },
    })
    expect(http.received.find(({ path }) => path === '/slack')?.body).toContain(`in conversation ${conversation_id}.`)
    expect(smtp.arrived.map(({ to }) => to)).toEqual([['ada@acme.example']])
    expect(smtp.arrived[0]?.text).toContain('Subject: A reply was given')
    expect(JSON.stringify([http.received, smtp.arrived])).not.toContain('The words of')
  })

  test('goes on where all of them fail, which their states say without the secret', async (world) => {
    await using http = receiver(() => new Response('gone', { status: 410 }))
    const people = peopleWith(world, [slackNotifications], { egress })
    const config = { webhook_url: `${http.url}/canary`, events: ['message.created'] }
    await people.adminA.post('/api/v1/plugins/slack_notifications/enable', { config })
    world.model.says('Hello')

    const reply = await people.operatorA.post('/api/v1/chat', { message: 'Hello' })
    await world.settle()

    const state = await people.operatorA.get('/api/v1/plugins/slack_notifications')
    const jobs = await people.adminA.get('/api/v1/admin/jobs')
    expect(reply.status).toBe(200)
    expect(http.received.map(({ path }) => path)).toEqual(['/canary'])
    expect(state.body).toMatchObject({
      enabled: true,
      last_failure: {
        count: 1,
        message: expect.stringContaining('The receiver answered 410, so it is not sent again.'),
      },
    })
    expect(jobs.body).toMatchObject([{ state: 'dead', attempts: 1 }])
    expect(JSON.stringify([state, jobs])).not.toContain('canary')
  })
})

describe('The usage of a tenant that has it exported', () => {
  test("is in the tenant's own folder when the day is over, and in no other", async (world) => {
    const folder = mkdtempSync(join(root, 'exports-'))
    const people = peopleWith(world, [analyticsExport], { files: openFiles(folder) })
    const config = { export_format: 'csv', schedule: '15 2 * * *', destination: 'folder' }
    await people.adminA.post('/api/v1/plugins/analytics_export/enable', { config })
    world.model.says('Hello', { prompt_tokens: 3, completion_tokens: 5 })
    world.model.says('Hello', { prompt_tokens: 4, completion_tokens: 6 })
    for (const speaker of [people.operatorA, people.adminB]) await speaker.post('/api/v1/chat', { message: 'Hello' })
    await world.settle()

    world.clock.advance({ days: 1 })
    await people.work()

    expect(readdirSync(folder)).toEqual([world.tenantA.id])
    expect(readdirSync(join(folder, world.tenantA.id)).sort().at(-1)).toBe('usage-2026-03-02.csv')
    expect(readFileSync(join(folder, world.tenantA.id, 'usage-2026-03-02.csv'), 'utf8')).toBe(
      'day,model,replies,prompt_tokens,completion_tokens,unique_users\r\n2026-03-02,scripted,1,3,5,1\r\n',
    )
  })
})
