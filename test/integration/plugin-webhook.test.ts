import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { openEgress } from '../../src/egress/open'
import { systemClock } from '../../src/ids'
import { configErrors } from '../../src/plugins/config'
import { webhook } from '../../src/plugins/webhook'
import { startsAt } from '../kit'
import { atWork, eventId, outcome, receiver, replied } from './plugin-peers'

const secret = `whsec_${Buffer.alloc(24, 'canary').toString('base64')}`
const configAt = (url: string) => ({ url: `${url}/hooks/tenantry`, events: ['reply.completed'], secret })

describe('The webhook plugin', () => {
  test('posts an event signed with time and id, as a library of Standard Webhooks verifies it', async () => {
    await using peer = receiver()

    const result = await outcome(webhook.events?.run(replied, atWork(configAt(peer.url), { clock: systemClock })))

    expect(result).toBe('done')
    expect(peer.received).toHaveLength(1)
    const [{ method, path, headers, body } = never()] = peer.received
    expect([method, path, headers['content-type'], headers['webhook-id']]).toEqual([
      'POST',
      '/hooks/tenantry',
      'application/json',
      eventId,
    ])
    const verifier = new Webhook(secret)
    expect(verifier.verify(body, headers)).toEqual({
      type: 'reply.completed',
      timestamp: '2026-03-02T08:59:58.000Z',
      data: replied.data,
    })
    expect(() => verifier.verify(body.replace('small', 'large'), headers)).toThrow('No matching signature found')
    expect(() => new Webhook(`whsec_${Buffer.alloc(24).toString('base64')}`).verify(body, headers)).toThrow()
  })

  test('signs what the convention says is signed', async () => {
    await using peer = receiver()

    await webhook.events?.run(replied, atWork(configAt(peer.url)))

    const [{ headers, body } = never()] = peer.received
    const seconds = startsAt.getTime() / 1000
    const signed = createHmac('sha256', Buffer.alloc(24, 'canary')).update(`${eventId}.${seconds}.${body}`)
    expect(headers['webhook-timestamp']).toBe(String(seconds))
    expect(headers['webhook-signature']).toBe(`v1,${signed.digest('base64')}`)
  })

  test('sends a retry with the same id, and a time and signature of its own', async () => {
    await using peer = receiver(
      () => new Response('busy', { status: 503 }),
      () => new Response('ok'),
    )
    const first = { now: () => startsAt }
    const second = { now: () => new Date(startsAt.getTime() + 60_000) }

    const results = [
      await outcome(webhook.events?.run(replied, atWork(configAt(peer.url), { clock: first }))),
      await outcome(webhook.events?.run(replied, atWork(configAt(peer.url), { clock: second }))),
    ]

    expect(results).toEqual([{ later: 'The receiver answered 503.', seconds: 0 }, 'done'])
    const [one = never(), other = never()] = peer.received
    expect([one.headers['webhook-id'], other.headers['webhook-id']]).toEqual([eventId, eventId])
    expect(Number(other.headers['webhook-timestamp']) - Number(one.headers['webhook-timestamp'])).toBe(60)
    expect(other.headers['webhook-signature']).not.toBe(one.headers['webhook-signature'] ?? '')
    expect(other.body).toBe(one.body)
  })

  test('follows no redirect', async () => {
    await using target = receiver()
    await using peer = receiver(() => Response.redirect(`${target.url}/elsewhere`, 307))

    const result = await outcome(webhook.events?.run(replied, atWork(configAt(peer.url))))

    expect(result).toEqual({ hopeless: 'The receiver answered 307; redirects are not followed.' })
    expect([peer.received.length, target.received.length]).toEqual([1, 0])
  })

  const answers: [number, Record<string, string>, unknown][] = [
    [200, {}, 'done'],
    [204, {}, 'done'],
    [301, { location: '/' }, { hopeless: 'The receiver answered 301; redirects are not followed.' }],
    [400, {}, { hopeless: 'The receiver answered 400, so it is not sent again.' }],
    [404, { 'retry-after': '10' }, { hopeless: 'The receiver answered 404, so it is not sent again.' }],
    [408, {}, { later: 'The receiver answered 408.', seconds: 0 }],
    [410, {}, { hopeless: 'The receiver answered 410, so it is not sent again.' }],
    [425, {}, { later: 'The receiver answered 425.', seconds: 0 }],
    [429, { 'retry-after': '120' }, { later: 'The receiver answered 429.', seconds: 120 }],
    [429, { 'retry-after': 'Mon, 02 Mar 2026 09:01:30 GMT' }, { later: 'The receiver answered 429.', seconds: 90 }],
    [429, { 'retry-after': 'Mon, 02 Mar 2020 09:01:30 GMT' }, { later: 'The receiver answered 429.', seconds: 0 }],
    [503, { 'retry-after': 'soon' }, { later: 'The receiver answered 503.', seconds: 0 }],
    [500, { 'retry-after': '-5' }, { later: 'The receiver answered 500.', seconds: 0 }],
  ]
  test.each(answers)('takes an answer of %i with %j for what it means', async (status, headers, meaning) => {
    await using peer = receiver(() => new Response(null, { status, headers }))

    const result = await outcome(webhook.events?.run(replied, atWork(configAt(peer.url))))

    expect(result).toEqual(meaning)
    expect(peer.received).toHaveLength(1)
  })

  test('does not wait for the end of an answer that has none', async () => {
    const left = Promise.withResolvers<void>()
    const endless = () => new ReadableStream({ pull: (c) => c.enqueue('more'), cancel: () => left.resolve() })
    await using peer = receiver(() => new Response(endless()))

    const result = await outcome(webhook.events?.run(replied, atWork(configAt(peer.url))))

    expect(result).toBe('done')
    await left.promise
  })

  test('goes nowhere that the guard does not', async () => {
    await using peer = receiver()
    const guarded = openEgress({ allow: [] })

    const result = await outcome(webhook.events?.run(replied, atWork(configAt(peer.url), { egress: guarded })))

    expect(result).toEqual({
      again: `${new URL(peer.url).host} leads to an address that is not public; an operator who wants that lists it in EGRESS_ALLOW.`,
    })
    expect(peer.received).toEqual([])
  })

  test('wants the types that were chosen', () => {
    const types = webhook.events?.types({ ...configAt('http://hooks.example.com'), events: ['user.created'] })

    expect(types).toEqual(['user.created'])
  })

  test('makes secrets that its own config takes, each another one', () => {
    const generate: () => string = webhook.config.properties.secret?.generate

    const made = [generate(), generate()]

    expect(new Set(made).size).toBe(2)
    expect(made.map((secret) => Buffer.from(secret.slice(6), 'base64').length)).toEqual([32, 32])
    const errors = made.flatMap((secret) => configErrors(webhook, { ...configAt('https://hooks.example.com'), secret }))
    expect(errors).toEqual([])
  })
})

describe('The config of the webhook plugin', () => {
  const base64 = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64')
  const good = configAt('https://hooks.example.com')
  const taken: [string, Record<string, unknown>][] = [
    ['as it is', {}],
    ['the shortest secret', { secret: `whsec_${base64(24)}` }],
    ['a secret with padding', { secret: `whsec_${base64(25)}` }],
    ['the longest secret', { secret: `whsec_${base64(64)}` }],
    ['plain http, on a port', { url: 'http://hooks.internal:8080/a?b=c' }],
  ]
  test.each(taken)('takes %s', (_, change) => {
    expect(configErrors(webhook, { ...good, ...change })).toEqual([])
  })

  const refused: [string, Record<string, unknown>, string][] = [
    ['no events', { events: [] }, '/events'],
    ['an event that there is not', { events: ['user.deleted'] }, '/events/0'],
    ['a short secret', { secret: `whsec_${base64(23)}` }, '/secret'],
    ['a long secret', { secret: `whsec_${base64(65)}` }, '/secret'],
    ['a secret without its prefix', { secret: base64(32) }, '/secret'],
    ['a secret that is no base64', { secret: `whsec_${'-'.repeat(32)}` }, '/secret'],
    ['a secret with bits after its end', { secret: `whsec_${base64(25).replace('w==', 'x==')}` }, '/secret'],
    ['another scheme', { url: 'file:///etc/passwd' }, '/url'],
    ['a user in the URL', { url: 'https://canary@hooks.example.com/' }, '/url'],
    ['an address in disguise', { url: 'http://2130706433/' }, '/url'],
    ['a field that there is not', { method: 'GET' }, '/method'],
  ]
  test.each(refused)('refuses %s, where it stands and without its value', (_, change, path) => {
    const errors = configErrors(webhook, { ...good, ...change })

    expect(errors.map((error) => error.path)).toEqual([path])
    expect(JSON.stringify(errors)).not.toMatch(/canary|passwd|BwcH|---/)
  })
})

function never(): never {
  throw new Error('Nothing was received.')
}
