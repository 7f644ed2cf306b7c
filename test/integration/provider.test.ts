import { messages, usage_records } from '../../src/database/tables'
import { openaiProvider } from '../../src/providers/openai'
import { events, type StreamEvent } from '../../src/testing'
import {
  answers,
  CuttingProvider,
  chunk,
  completion,
  data,
  FakeProvider,
  fails,
  hangs,
  says,
  streams,
  streamsThenHangs,
  streamsWithoutEnd,
  type Turn,
} from '../fake-provider'
import { database, deps, describe, expect, test } from '../kit'
import { speaking } from '../speaking'

const apiKey = 'sk-canary-of-the-provider'
const short = { totalMs: 400, firstByteMs: 100, idleMs: 100, retryMs: 1, longestReply: 5000 }

/** What an app needs to ask the server at `url`. */
const asking = (url: string, limits = deps.limits.provider) => ({
  provider: openaiProvider({ baseUrl: url, apiKey, largestAnswer: 200_000 }),
  limits: { ...deps.limits, provider: limits },
})

const json = (value: unknown): Turn => answers(JSON.stringify(value))
const last = (stored: { content: string; status: string }[]) => stored.at(-1)
const storedMessages = () =>
  database.select({ content: messages.content, status: messages.status }).from(messages).orderBy(messages.position)

describe('A chat with an OpenAI-compatible server', () => {
  test('asks what the API takes, and nothing of the caller goes along', async ({ users }) => {
    await using fake = new FakeProvider()
    fake.does(says('Good morning', { usage: { prompt_tokens: 9, completion_tokens: 2 } }))
    const operator = speaking(users.operatorA, asking(fake.url))

    const response = await operator.post('/api/v1/chat', { message: 'Hello', model: 'large' })

    expect(response).toMatchObject({
      status: 200,
      body: { response: 'Good morning', model: 'fake-model', usage: { prompt_tokens: 9, completion_tokens: 2 } },
    })
    expect(fake.asked).toMatchObject([
      { path: '/v1/chat/completions', body: { model: 'large', messages: [{ role: 'user', content: 'Hello' }] } },
    ])
    expect(fake.asked[0]?.body).toEqual({ model: 'large', messages: [{ role: 'user', content: 'Hello' }] })
    expect(fake.asked[0]?.headers.get('authorization')).toBe(`Bearer ${apiKey}`)
    expect(await database.select().from(usage_records)).toMatchObject([{ is_estimated: false, model: 'fake-model' }])
  })

  test('asks for a stream and its usage', async ({ users }) => {
    await using fake = new FakeProvider()
    fake.does(says(['Good', ' morning'], { usage: { prompt_tokens: 9, completion_tokens: 2 } }))
    const operator = speaking(users.operatorA, asking(fake.url))

    const response = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(response.body).toMatchObject([
      { event: 'token', data: { content: 'Good' } },
      { event: 'token', data: { content: ' morning' } },
      {
        event: 'done',
        data: { response: 'Good morning', model: 'fake-model', usage: { prompt_tokens: 9, completion_tokens: 2 } },
      },
    ])
    expect(fake.asked[0]?.body).toEqual({
      model: 'scripted',
      messages: [{ role: 'user', content: 'Hello' }],
      stream: true,
      stream_options: { include_usage: true },
    })
  })

  test.each<[string, Turn]>([
    ['usage: null', says('Twelve chars', { usage: null })],
    ['no usage', streams(chunk({ content: 'Twelve chars' }), chunk({}, { finish_reason: 'stop' }))],
    ['negative usage', says('Twelve chars', { usage: { prompt_tokens: -9, completion_tokens: -2 } })],
    ['usage that is text', says('Twelve chars', { usage: { prompt_tokens: '9', completion_tokens: '2' } })],
    ['half of the usage', says('Twelve chars', { usage: { prompt_tokens: 9 } })],
  ])('estimates the tokens of a stream with %s', async (_, turn, { users }) => {
    await using fake = new FakeProvider()
    fake.does(turn)
    const operator = speaking(users.operatorA, asking(fake.url))

    const response = await operator.post('/api/v1/chat', { message: 'Eight ch', stream: true })

    expect(response.body.at(-1)).toMatchObject({
      event: 'done',
      data: { usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 } },
    })
    expect(await database.select().from(usage_records)).toMatchObject([{ is_estimated: true }])
  })

  test.each<[string, string[], string]>([
    ['closes without [DONE]', [chunk({ content: 'Whole' }), chunk({}, { finish_reason: 'stop' })], 'Whole'],
    ['says the end together with the text', [chunk({ content: 'Whole' }, { finish_reason: 'stop' })], 'Whole'],
    [
      'begins with a role and nulls',
      [
        chunk({ role: 'assistant', content: null }),
        chunk({ content: 'Whole' }),
        chunk({ content: null }, { finish_reason: 'stop' }),
      ],
      'Whole',
    ],
    [
      'sends comments and CRLF',
      [
        ': hi\r\n\r\n',
        chunk({ content: 'Whole' }).replaceAll('\n', '\r\n'),
        chunk({}, { finish_reason: 'stop' }).replaceAll('\n', '\r\n'),
      ],
      'Whole',
    ],
    [
      'sends keys that could do harm',
      [
        'data: {"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"choices":[{"index":0,"delta":{"__proto__":{"polluted":1},"content":"Whole"},"finish_reason":"stop"}]}\n\n',
      ],
      'Whole',
    ],
    [
      'cuts a pair of surrogates',
      [chunk({ content: 'x\ud83d' }), chunk({ content: '\ude00' }, { finish_reason: 'stop' })],
      'x😀',
    ],
    ['says NUL and half a pair', [chunk({ content: 'x\0\ude00' }, { finish_reason: 'stop' })], 'x\ufffd\ufffd'],
  ])('takes a stream for whole that %s', async (_, pieces, text, { users }) => {
    await using fake = new FakeProvider()
    fake.does(streams(...pieces))
    const operator = speaking(users.operatorA, asking(fake.url))

    const response = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(response.body.at(-1)).toMatchObject({ event: 'done', data: { response: text } })
    expect(last(await storedMessages())).toEqual({ content: text, status: 'complete' })
    expect({}).not.toHaveProperty('polluted')
  })

  test('stores the name of the model without what no database can hold', async ({ users }) => {
    await using fake = new FakeProvider()
    fake.does(json({ ...completion('Fine'), model: 'large\0' }))
    const operator = speaking(users.operatorA, asking(fake.url))

    const response = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(response).toMatchObject({ status: 200, body: { model: 'large\ufffd' } })
  })
})

const unavailable = { status: 502, code: 'provider_unavailable' }
const late = { status: 504, code: 'provider_timeout' }
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
    ['nothing', [hangs], late],
    ['a redirect', [() => Response.redirect('http://127.0.0.1:9/v1/chat/completions', 307)], unavailable],
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
    const operator = speaking(users.operatorA, asking(fake.url, short))

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

  test.each<[string, Turn[], string, string]>([
    [
      '401, quoting the key',
      [fails(401, { message: `Incorrect API key provided: ${apiKey}` })],
      '',
      'provider_unavailable',
    ],
    ['503 twice', [fails(503), fails(503)], '', 'provider_unavailable'],
    ['nothing', [hangs], '', 'provider_timeout'],
    ['headers and nothing', [streamsThenHangs()], '', 'provider_timeout'],
    ['silence in the middle', [streamsThenHangs(chunk({ content: 'Hal' }))], 'Hal', 'provider_timeout'],
    ['bytes that never make an event', [streamsWithoutEnd('d', { everyMs: 10 })], '', 'provider_timeout'],
    ['comments without end', [streamsWithoutEnd(': hi\n\n', { everyMs: 10 })], '', 'provider_timeout'],
    ['JSON', [json(completion('Hello'))], '', 'provider_unavailable'],
    ['a page', [answers('<html>Welcome</html>', { 'content-type': 'text/html' })], '', 'provider_unavailable'],
    ['an end without finish_reason', [streams(chunk({ content: 'Hal' }))], 'Hal', 'provider_unavailable'],
    [
      '[DONE] without finish_reason',
      [streams(chunk({ content: 'Hal' }), 'data: [DONE]\n\n')],
      'Hal',
      'provider_unavailable',
    ],
    [
      'an empty finish_reason',
      [streams(chunk({ content: 'Hal' }, { finish_reason: '' }))],
      'Hal',
      'provider_unavailable',
    ],
    [
      'an error in the middle',
      [streams(chunk({ content: 'Hal' }), data({ error: { message: apiKey } }))],
      'Hal',
      'provider_unavailable',
    ],
    ['half an event', [streams(chunk({ content: 'Hal' }), 'data: {"choices":[{"del')], 'Hal', 'provider_unavailable'],
    [
      'an event that is no JSON',
      [streams(chunk({ content: 'Hal' }), 'data: {oops}\n\n')],
      'Hal',
      'provider_unavailable',
    ],
    ['null for an event', [streams(chunk({ content: 'Hal' }), 'data: null\n\n')], 'Hal', 'provider_unavailable'],
    ['no choices', [streams(data({ choices: [] }))], '', 'provider_unavailable'],
    ['no words', [streams(chunk({ content: '' }), chunk({}, { finish_reason: 'stop' }))], '', 'provider_unavailable'],
    ['a line without end', [streamsWithoutEnd('x'.repeat(50_000))], '', 'provider_unavailable'],
    ['a gzip bomb', [gzip(new Uint8Array(64 * 1024 * 1024), 'text/event-stream')], '', 'provider_unavailable'],
  ])('ends a stream in one error where it gives %s', async (_, turns, text, code, { users }) => {
    await using fake = new FakeProvider()
    fake.does(...turns)
    const operator = speaking(users.operatorA, asking(fake.url, short))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    const ends = failed.body.filter(({ event }: StreamEvent) => event !== 'token')
    expect(ends).toMatchObject([{ event: 'error', data: { code } }])
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

  test.each<[string, Turn, string]>([
    ['never ends', streamsWithoutEnd(chunk({ content: 'x'.repeat(100) })), 'provider_unavailable'],
    ['drips', streamsWithoutEnd(chunk({ content: 'x' }), { everyMs: 20 }), 'provider_timeout'],
  ])('ends a stream in an error where it %s, and lets go of the server', async (_, turn, code, { users }) => {
    await using fake = new FakeProvider()
    fake.does(turn)
    const operator = speaking(users.operatorA, asking(fake.url, short))

    const { body } = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(body.at(-1)).toMatchObject({ event: 'error', data: { code } })
    await fake.asked[0]?.left
    const text = body
      .slice(0, -1)
      .map(({ data }: { data: { content: string } }) => data.content)
      .join('')
    expect(last(await storedMessages())).toEqual({ content: text, status: 'failed' })
    expect(text).toMatch(/^x{1,5000}$/)
  })

  test('answers a server that is not there with a problem', async ({ users }) => {
    const gone = new FakeProvider()
    await gone[Symbol.asyncDispose]()
    const operator = speaking(users.operatorA, asking(gone.url))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(failed).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
    expect(last(await storedMessages())).toEqual({ content: '', status: 'failed' })
  })

  test('answers a connection that is cut in the middle of JSON with a problem', async ({ users }) => {
    using cutting = new CuttingProvider(JSON.stringify(completion('Whole?')))
    const operator = speaking(users.operatorA, asking(cutting.url))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(failed).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
    expect(cutting.asked).toBe(1)
    expect(last(await storedMessages())).toEqual({ content: '', status: 'failed' })
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
    expect(last(await storedMessages())).toEqual({ content: 'Hal', status: 'failed' })
  })
})

describe('A chat with a server that is busy', () => {
  const inTwoSeconds = () => new Date(Date.now() + 2000).toUTCString()
  test.each<[string, Turn]>([
    ['429 without a time', fails(429)],
    ['429 and 0 seconds', fails(429, { headers: { 'retry-after': '0' } })],
    ['429 and a date that has passed', fails(429, { headers: { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' } })],
    ['429 and nonsense', fails(429, { headers: { 'retry-after': 'soon' } })],
    ['502', fails(502)],
    ['503', fails(503)],
  ])('is answered where it said %s once', async (_, turn, { users }) => {
    await using fake = new FakeProvider()
    fake.does(turn, says('Fine'))
    const operator = speaking(users.operatorA, asking(fake.url))

    const response = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(response).toMatchObject({ status: 200, body: { response: 'Fine' } })
    expect(fake.asked).toHaveLength(2)
  })

  test.each<[string, string]>([
    ['more seconds than it is waited for', '60'],
    ['a date after the deadline', inTwoSeconds()],
    ['more seconds than there are', '9'.repeat(30)],
  ])('is told when to come back where it said %s', async (_, retryAfter, { users }) => {
    await using fake = new FakeProvider()
    fake.does(fails(429, { headers: { 'retry-after': retryAfter } }))
    const operator = speaking(users.operatorA, asking(fake.url, short))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(failed).toMatchObject({ status: 503, body: { code: 'provider_unavailable' } })
    expect(failed.headers['retry-after']).toMatch(/^[1-9]\d{0,4}$/)
    expect(fake.asked).toHaveLength(1)
  })
})
