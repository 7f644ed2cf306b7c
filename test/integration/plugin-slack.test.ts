import { describe, expect, test } from 'bun:test'
import { configErrors } from '../../src/plugins/config'
import type { PluginEvent } from '../../src/plugins/events'
import { slackNotifications } from '../../src/plugins/slack-notifications'
import { atWork, eventId, outcome, receiver, replied } from './plugin-peers'

const configAt = (url: string) => ({ webhook_url: `${url}/services/T0/B0/canary`, events: ['reply.completed'] })
const ids = { conversation_id: 'c-1', message_id: 'm-2', user_id: 'u-3' }

describe('The Slack plugin', () => {
  const sentences: [PluginEvent['type'], PluginEvent['data'], string][] = [
    ['message.created', ids, 'User u-3 wrote message m-2 in conversation c-1.'],
    [
      'reply.completed',
      { ...ids, model: 'small', prompt_tokens: 12, completion_tokens: 34, latency_ms: 56 },
      'The model small replied with message m-2 to user u-3 in conversation c-1: 12 + 34 tokens, 56 ms.',
    ],
    [
      'reply.failed',
      { ...ids, model: 'small', code: 'provider_timeout' },
      'The model small did not reply to user u-3 in conversation c-1 (message m-2): provider_timeout.',
    ],
    ['user.created', { user_id: 'u-3', role: 'viewer' }, 'User u-3 was created with the role viewer.'],
    ['plugin.enabled', { user_id: 'u-3', plugin: 'webhook' }, 'User u-3 enabled the plugin webhook.'],
    [
      'daily_summary.ready',
      { day: '2026-03-01', total_requests: 5, error_count: 1, total_tokens: 99, total_messages: 4, unique_users: 2 },
      'On 2026-03-01: 5 requests (1 failed), 4 messages, 99 tokens, 2 users.',
    ],
  ]
  test.each(sentences)('posts one sentence about %s', async (type, data, text) => {
    await using peer = receiver()
    // Type and data of each row belong together.
    const event = { type, data, occurred_at: replied.occurred_at, id: eventId } as typeof replied

    const result = await outcome(slackNotifications.events?.run(event, atWork(configAt(peer.url))))

    expect(result).toBe('done')
    expect(peer.received).toMatchObject([
      { method: 'POST', path: '/services/T0/B0/canary', headers: { 'content-type': 'application/json' } },
    ])
    expect(peer.received.map(({ body }) => JSON.parse(body))).toEqual([{ text }])
  })

  test('lets no name become a mention, a link or a line of its own', async () => {
    await using peer = receiver()
    const event = {
      ...replied,
      data: { ...replied.data, model: '<!channel> & <https://evil.example|click>\r\n\u001b[31mred\u202e' },
    } as typeof replied

    await slackNotifications.events?.run(event, atWork(configAt(peer.url)))

    const [text = ''] = peer.received.map(({ body }) => String(JSON.parse(body).text))
    expect(text).toStartWith('The model &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; [31mred  replied')
  })

  test('waits as long as Slack asks', async () => {
    await using peer = receiver(() => new Response('rate_limited', { status: 429, headers: { 'retry-after': '30' } }))

    const result = await outcome(slackNotifications.events?.run(replied, atWork(configAt(peer.url))))

    expect(result).toEqual({ later: 'The receiver answered 429.', seconds: 30 })
  })

  test('gives up where the webhook is gone, without naming its URL', async () => {
    await using peer = receiver(() => new Response('no_service', { status: 404 }))

    const result = await outcome(slackNotifications.events?.run(replied, atWork(configAt(peer.url))))

    expect(result).toEqual({ hopeless: 'The receiver answered 404, so it is not sent again.' })
  })

  test('follows no redirect', async () => {
    await using target = receiver()
    await using peer = receiver(() => Response.redirect(target.url, 302))

    const result = await outcome(slackNotifications.events?.run(replied, atWork(configAt(peer.url))))

    expect(result).toEqual({ hopeless: 'The receiver answered 302; redirects are not followed.' })
    expect(target.received).toEqual([])
  })

  test('stops when its job does', async () => {
    await using peer = receiver()
    const ended = AbortSignal.abort()

    const result = await outcome(slackNotifications.events?.run(replied, atWork(configAt(peer.url), { signal: ended })))

    expect(result).toEqual({ again: `The request to ${new URL(peer.url).host} was given up.` })
  })
})

describe('The config of the Slack plugin', () => {
  const good = configAt('https://hooks.slack.com')
  test('takes a URL and events', () => {
    expect(configErrors(slackNotifications, good)).toEqual([])
  })

  const refused: [string, Record<string, unknown>, string][] = [
    ['no URL', { webhook_url: '' }, '/webhook_url'],
    ['what is no URL', { webhook_url: 'canary' }, '/webhook_url'],
    ['another scheme', { webhook_url: 'ftp://canary.example/' }, '/webhook_url'],
    ['the same event twice', { events: ['user.created', 'user.created'] }, '/events'],
    ['a field that there is not', { channel: '#canary' }, '/channel'],
  ]
  test.each(refused)('refuses %s, where it stands and without its value', (_, change, path) => {
    const errors = configErrors(slackNotifications, { ...good, ...change })

    expect(errors.map((error) => error.path)).toEqual([path])
    expect(JSON.stringify(errors)).not.toContain('canary')
  })
})
