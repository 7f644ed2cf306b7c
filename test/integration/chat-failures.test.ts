import { Lifetime } from '../../src/lifetime'
import type { ProviderLimits } from '../../src/providers/ask'
import { ProviderFailure } from '../../src/providers/provider'
import type { Step } from '../../src/testing'
import { deps, describe, expect, test } from '../kit'
import { speaking, withLimits } from '../speaking'

const failure = (kind: 'failed' | 'busy', retryAfterSeconds?: number): Step => ({
  type: 'fail',
  error: new ProviderFailure('canary: what the provider said', kind, retryAfterSeconds),
})
const text = (words: string): Step => ({ type: 'text', text: words })
const hang: Step = { type: 'hang' }
const end: Step = { type: 'end' }
const unavailable = 'provider_unavailable'
const late = 'provider_timeout'

/** What a caller sees and what is stored: `turns` are the model's, one for each time it may be asked. */
const failures: [string, Step[][], { stream: boolean }, { status: number; code: string; stored: string }][] = [
  ['fails', [[failure('failed')]], { stream: false }, { status: 502, code: unavailable, stored: '' }],
  [
    'fails in the middle',
    [[text('Hal'), failure('failed')]],
    { stream: false },
    { status: 502, code: unavailable, stored: 'Hal' },
  ],
  ['stops without an end', [[text('Hal')]], { stream: false }, { status: 502, code: unavailable, stored: 'Hal' }],
  ['ends without a word', [[end]], { stream: false }, { status: 502, code: unavailable, stored: '' }],
  [
    'is busy twice',
    [[failure('busy')], [failure('busy')]],
    { stream: false },
    { status: 503, code: unavailable, stored: '' },
  ],
  [
    'is busy, then fails',
    [[failure('busy')], [failure('failed')]],
    { stream: false },
    { status: 502, code: unavailable, stored: '' },
  ],
  ['is busy for long', [[failure('busy', 11)]], { stream: false }, { status: 503, code: unavailable, stored: '' }],
  [
    'says too much',
    [[text('x'.repeat(50)), text('y'.repeat(51)), end]],
    { stream: false },
    { status: 502, code: unavailable, stored: 'x'.repeat(50) },
  ],
  ['does not answer', [[hang]], { stream: false }, { status: 504, code: late, stored: '' }],
]

describe('A chat whose model', () => {
  test.each(failures)(
    '%s is answered with a problem and stored as failed',
    async (_, turns, question, wanted, world) => {
      const { operatorA, model, users } = world
      const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
      for (const steps of turns) model.does(...steps)
      model.says('Fine')
      const operator = speaking(users.operatorA, withLimits({ totalMs: 100, longestReply: 100 }))

      const failed = await operator.post('/api/v1/chat', {
        message: 'Hello',
        conversation_id: conversation.id,
        ...question,
      })

      expect(failed).toMatchObject({
        status: wanted.status,
        headers: { 'content-type': 'application/problem+json' },
        body: { status: wanted.status, code: wanted.code, type: `urn:problem-type:${wanted.code}` },
      })
      expect(JSON.stringify(failed)).not.toContain('canary')
      expect(model.asked).toHaveLength(turns.length)
      expect(await operatorA.get(`/api/v1/conversations/${conversation.id}/messages`)).toMatchObject({
        body: [
          { role: 'user', content: 'Hello', status: 'complete' },
          { role: 'assistant', content: wanted.stored, status: 'failed' },
        ],
      })
      expect(await operator.post('/api/v1/chat', { message: 'Hello' })).toMatchObject({
        status: 200,
        body: { response: 'Fine' },
      })
    },
  )

  test.each<[string, Step[], Partial<ProviderLimits>, string[]]>([
    ['does not begin', [hang], { firstByteMs: 5 }, []],
    ['falls silent', [text('Hal'), hang], { idleMs: 5 }, ['token']],
    ['does not come to an end', [text('Hal'), hang], { totalMs: 30 }, ['token']],
  ])(
    '%s in time makes a stream end in provider_timeout',
    async (_, steps, limits, came, { operatorA, model, users }) => {
      model.does(...steps).says('Fine')
      const impatient = speaking(users.operatorA, withLimits(limits))

      const failed = await impatient.post('/api/v1/chat', { message: 'Hello', stream: true })

      expect(failed.body.map(({ event }: { event: string }) => event)).toEqual([...came, 'error'])
      expect(failed.body.at(-1)).toMatchObject({ data: { code: 'provider_timeout' } })
      expect(model.asked.map(({ signal }) => signal.aborted)).toEqual([true])
      expect(await operatorA.post('/api/v1/chat', { message: 'Hello', stream: true })).toMatchObject({
        body: [{ event: 'token' }, { event: 'done' }],
      })
    },
  )

  test.each([{ stream: false }, { stream: true }])(
    'fails tells in which conversation the message is, %j',
    async (how, { operatorA, model }) => {
      model.fails(new ProviderFailure('No.', 'failed')).says('Fine')
      const failed = await operatorA.post('/api/v1/chat', { message: 'Hello', ...how })
      const conversation_id = failed.headers['x-conversation-id']

      const again = await operatorA.post('/api/v1/chat', { message: 'Hello?', conversation_id, ...how })

      expect(failed.status).toBe(how.stream ? 200 : 502)
      expect(again).toMatchObject({ status: 200, headers: { 'x-conversation-id': conversation_id } })
      expect(await operatorA.get(`/api/v1/conversations/${conversation_id}/messages`)).toMatchObject({
        body: [{ content: 'Hello' }, { status: 'failed' }, { content: 'Hello?' }, { content: 'Fine' }],
      })
    },
  )

  test('is not asked, where nothing was stored, names no conversation', async ({ operatorA }) => {
    const refused = await operatorA.post('/api/v1/chat', { message: '' })
    const unknown = { message: 'Hello', conversation_id: '019cadc6-9a80-7000-8000-000000000000' }

    expect(refused).toMatchObject({ status: 422 })
    expect(refused.headers).not.toHaveProperty('x-conversation-id')
    expect((await operatorA.post('/api/v1/chat', unknown)).headers).not.toHaveProperty('x-conversation-id')
  })

  test('is busy once is asked again', async ({ operatorA, model }) => {
    model.does(failure('busy', 0)).says('Fine')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello' })

    expect(response).toMatchObject({ status: 200, body: { response: 'Fine' } })
    expect(model.asked).toHaveLength(2)
    const [first, second] = model.asked.map(({ request }) => request)
    expect(second).toEqual(first)
  })

  test.each<[string, number | undefined, string]>([
    ['nothing', undefined, '1'],
    ['11 seconds', 11, '11'],
    ['ten and a half seconds', 10.5, '11'],
    ['a year', 31_536_000, '86400'],
  ])(
    'asks for a pause of %s tells the caller when to come back',
    async (_, seconds, retryAfter, { operatorA, model }) => {
      model.does(failure('busy', seconds)).does(failure('busy', seconds))

      const failed = await operatorA.post('/api/v1/chat', { message: 'Hello' })

      expect(failed).toMatchObject({ status: 503, headers: { 'retry-after': retryAfter } })
    },
  )

  test('says what no database can hold is stored without it', async ({ operatorA, model }) => {
    model.says(['NUL \0, half \ud83d', ' and whole \ud83d', '\ude00, half \ude00, last \ud83d'])
    const stored = 'NUL \ufffd, half \ufffd and whole 😀, half \ufffd, last \ufffd'

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello', stream: true })

    const done = response.body.at(-1)
    expect(done).toMatchObject({ event: 'done', data: { response: stored } })
    expect(
      response.body
        .slice(0, -1)
        .map(({ data }: { data: { content: string } }) => data.content)
        .join(''),
    ).toBe(stored)
    expect(await operatorA.get(`/api/v1/conversations/${done.data.conversation_id}/messages`)).toMatchObject({
      body: [{}, { content: stored, status: 'complete' }],
    })
  })

  test('is cut off by the end of the process is stored as interrupted', async ({ operatorA, model, users }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    model.does(text('Half'), hang)
    const lifetime = new Lifetime(deps.reporter.unexpected)
    const operator = speaking(users.operatorA, { lifetime })
    const answer = operator.post('/api/v1/chat', { message: 'Hello', conversation_id: conversation.id })
    await model.hanging

    await lifetime.end(1)

    expect(await answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' }, body: { code: unavailable } })
    expect(model.asked.map(({ signal }) => signal.aborted)).toEqual([true])
    expect(await operatorA.get(`/api/v1/conversations/${conversation.id}/messages`)).toMatchObject({
      body: [{ role: 'user' }, { role: 'assistant', content: 'Half', status: 'interrupted' }],
    })
  })

  test('works for a caller that leaves is stopped, and what came is kept', async ({ operatorA, model, settle }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    model.does(text('Half'), hang)
    const caller = new AbortController()
    const question = { message: 'Hello', conversation_id: conversation.id }
    const answer = operatorA.post('/api/v1/chat', question, { signal: caller.signal })
    await model.hanging

    caller.abort()

    expect(await answer).toMatchObject({ status: 502, body: { code: unavailable } })
    await settle()
    expect(model.asked.map(({ signal }) => signal.aborted)).toEqual([true])
    expect(await operatorA.get(`/api/v1/conversations/${conversation.id}/messages`)).toMatchObject({
      body: [{ role: 'user' }, { role: 'assistant', content: 'Half', status: 'interrupted' }],
    })
  })
})
