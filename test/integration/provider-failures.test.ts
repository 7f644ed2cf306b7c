import { events, type StreamEvent } from '../../src/testing'
import {
  answers,
  CuttingProvider,
  chunk,
  completion,
  data,
  FakeProvider,
  fails,
  streams,
  streamsWithoutEnd,
  type Turn,
} from '../fake-provider'
import { describe, expect, test } from '../kit'
import { speaking } from '../speaking'
import { apiKey, asking, json, storedMessages } from './asking'

const unavailable = { status: 502, code: 'provider_unavailable' }
const gzip = (bytes: Uint8Array<ArrayBuffer>, type: string): Turn =>
  answers(Bun.gzipSync(bytes), { 'content-type': type, 'content-encoding': 'gzip' })

describe('A chat that a server gives no whole answer to', () => {
  test.each<[string, Turn[], { status: number; code: string }]>([
    ['400', [fails(400)], unavailable],
    ['401, quoting the key', [fails(401, { message: `Incorrect API key provided: ${apiKey}` })], unavailable],
    ['404', [fails(404)], unavailable],
    ['500', [fails(500)], unavailable],
    ['429 twice', [fails(429), fails(429)], { status: 503, code: 'provider_unavailable' }],
    ['502 twice', [fails(502), fails(502)], { status: 503, code: 'provider_unavailable' }],
    ['503, then 500', [fails(503), fails(500)], unavailable],
    ['429 for long', [fails(429, { headers: { 'retry-after': '60' } })], { status: 503, code: 'provider_unavailable' }],
    [
      'a redirect',
      [() => new Response(null, { status: 307, headers: { location: '/v1/chat/completions' } })],
      unavailable,
    ],
    ['a page', [answers('<html>Welcome</html>', { 'content-type': 'text/html' })], unavailable],
    ['a page that says it is JSON', [answers('<html>Welcome</html>')], unavailable],
    ['an empty body', [answers('')], unavailable],
    ['null', [json(null)], unavailable],
    ['an error with status 200', [json({ error: { message: `no such key ${apiKey}` } })], unavailable],
    ['no choices', [json({ ...completion('x'), choices: [] })], unavailable],
    ['choices that are no list', [json({ ...completion('x'), choices: { 0: {} } })], unavailable],
    ['content null', [json(completion(null))], unavailable],
    ['content that is no text', [json(completion({ text: 'x' }))], unavailable],
    ['no words', [json(completion(''))], unavailable],
    ['more characters than allowed', [json(completion('x'.repeat(5001)))], unavailable],
    ['more bytes than allowed', [answers(' '.repeat(200_001))], unavailable],
    ['bytes without end', [streamsWithoutEnd(' '.repeat(50_000))], unavailable],
    ['a gzip bomb', [gzip(new Uint8Array(64 * 1024 * 1024), 'application/json')], unavailable],
  ])('answers %s with a problem', async (_, turns, wanted, { users }) => {
    await using fake = new FakeProvider()
    fake.does(...turns)
    const operator = speaking(users.operatorA, asking(fake.url))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(failed).toMatchObject({ status: wanted.status, body: { code: wanted.code } })
    expect(JSON.stringify(failed)).not.toContain(apiKey)
    expect(fake.asked).toHaveLength(turns.length)
    expect(await storedMessages()).toMatchObject([{ content: 'Hello' }, { status: 'failed' }])
    expect(await operator.post('/api/v1/chat', { message: 'Hello' })).toMatchObject({
      status: 200,
      body: { response: 'You asked: Hello' },
    })
  })

  test.each<[string, Turn[], string]>([
    ['401, quoting the key', [fails(401, { message: `Incorrect API key provided: ${apiKey}` })], ''],
    ['503 twice', [fails(503), fails(503)], ''],
    ['JSON', [json(completion('Hello'))], ''],
    ['a page', [answers('<html>Welcome</html>', { 'content-type': 'text/html' })], ''],
    ['an end without finish_reason', [streams(chunk({ content: 'Hal' }))], 'Hal'],
    ['[DONE] without finish_reason', [streams(chunk({ content: 'Hal' }), 'data: [DONE]\n\n')], 'Hal'],
    ['an empty finish_reason', [streams(chunk({ content: 'Hal' }, { finish_reason: '' }))], 'Hal'],
    ['an error in the middle', [streams(chunk({ content: 'Hal' }), data({ error: { message: apiKey } }))], 'Hal'],
    ['half an event', [streams(chunk({ content: 'Hal' }), 'data: {"choices":[{"del')], 'Hal'],
    ['an event that is no JSON', [streams(chunk({ content: 'Hal' }), 'data: {oops}\n\n')], 'Hal'],
    ['null for an event', [streams(chunk({ content: 'Hal' }), 'data: null\n\n')], 'Hal'],
    ['no choices', [streams(data({ choices: [] }))], ''],
    ['no words', [streams(chunk({ content: '' }), chunk({}, { finish_reason: 'stop' }))], ''],
    ['a line without end', [streamsWithoutEnd('x'.repeat(50_000))], ''],
    ['a gzip bomb', [gzip(new Uint8Array(64 * 1024 * 1024), 'text/event-stream')], ''],
  ])('ends a stream in one error where it gives %s', async (_, turns, text, { users }) => {
    await using fake = new FakeProvider()
    fake.does(...turns)
    const operator = speaking(users.operatorA, asking(fake.url))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    const ends = failed.body.filter(({ event }: StreamEvent) => event !== 'token')
    expect(ends).toMatchObject([{ event: 'error', data: { code: 'provider_unavailable' } }])
    expect(failed.body.at(-1)).toEqual(ends[0])
    expect(JSON.stringify(failed)).not.toContain(apiKey)
    expect(fake.asked).toHaveLength(turns.length)
    expect(await storedMessages()).toEqual([
      { content: 'Hello', status: 'complete' },
      { content: text, status: 'failed' },
    ])
    const again = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })
    expect(again.body.at(-1)).toMatchObject({ event: 'done', data: { response: 'You asked: Hello' } })
  })

  test.each([
    ['words', chunk({ content: 'x'.repeat(100) }), 'x'.repeat(5000)],
    ['words, of which many come at once', chunk({ content: 'x'.repeat(100) }).repeat(2000), 'x'.repeat(5000)],
    ['bytes', 'x'.repeat(50_000), ''],
  ])('ends a stream of %s without end in an error, and lets go of the server', async (_, piece, text, { users }) => {
    await using fake = new FakeProvider()
    fake.does(streamsWithoutEnd(piece))
    const operator = speaking(users.operatorA, asking(fake.url))

    const { body } = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(body.at(-1)).toMatchObject({ event: 'error', data: { code: 'provider_unavailable' } })
    await fake.asked[0]?.left
    expect((await storedMessages()).at(-1)).toEqual({ content: text, status: 'failed' })
  })

  test('answers a server that is not there with a problem', async ({ users }) => {
    const gone = new FakeProvider()
    await gone[Symbol.asyncDispose]()
    const operator = speaking(users.operatorA, asking(gone.url))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(failed).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
    expect((await storedMessages()).at(-1)).toEqual({ content: '', status: 'failed' })
  })

  test('answers a connection that is cut in the middle of JSON with a problem', async ({ users }) => {
    using cutting = new CuttingProvider(JSON.stringify(completion('Whole?')))
    const operator = speaking(users.operatorA, asking(cutting.url))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(failed).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
    expect(cutting.asked).toBe(1)
    expect((await storedMessages()).at(-1)).toEqual({ content: '', status: 'failed' })
  })

  test('keeps what came of a stream before its connection was cut', async ({ users }) => {
    const read = Promise.withResolvers<void>()
    using cutting = new CuttingProvider(chunk({ content: 'Hal' }), { type: 'text/event-stream', when: read.promise })
    const operator = speaking(users.operatorA, asking(cutting.url))
    const response = await operator.send('POST', '/api/v1/chat', { body: { message: 'Hello', stream: true } })
    const stream = events(response)
    const first = await stream.next()

    read.resolve()

    expect(first.value).toEqual({ event: 'token', data: { content: 'Hal' } })
    expect(await Array.fromAsync(stream)).toMatchObject([{ event: 'error', data: { code: 'provider_unavailable' } }])
    expect((await storedMessages()).at(-1)).toEqual({ content: 'Hal', status: 'failed' })
  })
})
