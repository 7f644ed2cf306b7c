import { usage_records } from '../../src/database/tables'
import { chunk, completion, FakeProvider, fails, says, streams, type Turn } from '../fake-provider'
import { database, describe, expect, test } from '../kit'
import { speaking } from '../speaking'
import { apiKey, asking, json, storedMessages } from './asking'

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
    expect((await storedMessages()).at(-1)).toEqual({ content: text, status: 'complete' })
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

describe('A chat with a server that is busy', () => {
  const inAnHour = new Date(Date.now() + 3_600_000).toUTCString()
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
    ['a date after the deadline', inAnHour],
    ['more seconds than there are in a century', '9999999999'],
  ])('is told when to come back where it said %s', async (_, retryAfter, { users }) => {
    await using fake = new FakeProvider()
    fake.does(fails(429, { headers: { 'retry-after': retryAfter } }))
    const operator = speaking(users.operatorA, asking(fake.url))

    const failed = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(failed).toMatchObject({ status: 503, body: { code: 'provider_unavailable' } })
    expect(failed.headers['retry-after']).toMatch(/^[1-9]\d{0,4}$/)
    expect(fake.asked).toHaveLength(1)
  })
})
