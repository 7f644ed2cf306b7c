import { messages } from '../../src/database/tables'
import { ProviderFailure } from '../../src/providers/provider'
import { events, read, type Step } from '../../src/testing'
import { database, deps, describe, expect, test } from '../kit'
import { speaking } from '../speaking'

const token = (content: string) => ({ event: 'token', data: { content } })

describe('POST /api/v1/chat with stream: true', () => {
  test('sends each piece as it comes, then one done that holds the whole answer', async ({ operatorA, model }) => {
    model.says(['Good', ' mor', 'ning'], { prompt_tokens: 7, completion_tokens: 2 })

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(response).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-request-id': expect.any(String),
      },
    })
    const done = response.body.at(-1).data
    expect(response.body).toEqual([
      token('Good'),
      token(' mor'),
      token('ning'),
      {
        event: 'done',
        data: {
          response: 'Good morning',
          conversation_id: expect.any(String),
          message_id: expect.any(String),
          model: 'scripted',
          usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
          latency_ms: expect.any(Number),
        },
      },
    ])
    expect(model.asked[0]?.stream).toBe(true)
    expect(await operatorA.get(`/api/v1/conversations/${done.conversation_id}/messages`)).toMatchObject({
      body: [
        { role: 'user', content: 'Hello' },
        { id: done.message_id, role: 'assistant', content: 'Good morning', status: 'complete', completion_tokens: 2 },
      ],
    })
  })

  test('sends the first piece while the model still works', async ({ operatorA, model }) => {
    model.does({ type: 'text', text: 'Good' }, { type: 'hang' }, { type: 'text', text: ' night' }, { type: 'end' })
    const response = await operatorA.send('POST', '/api/v1/chat', { body: { message: 'Hello', stream: true } })
    const stream = events(response)

    const first = await stream.next()

    expect(first.value).toEqual(token('Good'))
    model.release()
    expect(await Array.fromAsync(stream)).toMatchObject([token(' night'), { event: 'done' }])
  })

  test('has committed the message before the answer begins', async ({ operatorA, adminA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    model.does({ type: 'hang' }, { type: 'text', text: 'Fine' }, { type: 'end' })

    const response = await operatorA.send('POST', '/api/v1/chat', {
      body: { message: 'Hello', conversation_id: conversation.id, stream: true },
    })

    expect(await adminA.get(`/api/v1/conversations/${conversation.id}/messages`)).toMatchObject({
      body: [{ role: 'user', content: 'Hello', status: 'complete' }],
    })
    model.release()
    expect(await read(response)).toMatchObject({ status: 200, body: [token('Fine'), { event: 'done' }] })
  })

  test.each<[string, Step[], object[], string]>([
    ['in the middle', [{ type: 'text', text: 'Good' }], [token('Good')], 'Good'],
    ['before it says anything', [], [], ''],
  ])('ends in one error, and keeps what came, when the model fails %s', async (_, steps, came, text, world) => {
    const { operatorA, model } = world
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    model.does(...steps, { type: 'fail', error: new ProviderFailure('secret words of the provider', 'failed') })

    const response = await operatorA.post('/api/v1/chat', {
      message: 'Hello',
      conversation_id: conversation.id,
      stream: true,
    })

    expect(response).toMatchObject({ status: 200 })
    expect(response.body).toEqual([
      ...came,
      {
        event: 'error',
        data: {
          code: 'provider_unavailable',
          detail: 'The model could not be reached or gave no whole reply; try again.',
          request_id: response.headers['x-request-id'],
        },
      },
    ])
    expect(await operatorA.get(`/api/v1/conversations/${conversation.id}/messages`)).toMatchObject({
      body: [
        { role: 'user', content: 'Hello', status: 'complete' },
        { role: 'assistant', content: text, status: 'failed' },
      ],
    })
  })

  test('reports a defect and tells the caller nothing of it', async ({ operatorA, model, takeErrors }) => {
    const defect = new TypeError('canary is not a function')
    model.does({ type: 'text', text: 'Good' }, { type: 'fail', error: defect })

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(takeErrors()).toEqual([defect])
    expect(response.body).toMatchObject([token('Good'), { event: 'error', data: { code: 'internal' } }])
    expect(JSON.stringify(response.body)).not.toContain('canary')
  })

  test('keeps text on one line of the stream, whatever it holds', async ({ operatorA, model }) => {
    const awkward = 'one\n\ndata: {"x":1}\r\nevent: done\n\n\u2028😀'
    model.says(awkward)

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(response.body).toMatchObject([token(awkward), { event: 'done', data: { response: awkward } }])
  })

  test('sends a sign of life while the model is silent', async ({ users, model }) => {
    model.does({ type: 'hang' }, { type: 'text', text: 'Fine' }, { type: 'end' })
    const operator = speaking(users.operatorA, { limits: { ...deps.limits, heartbeatMs: 5 } })
    const response = await operator.send('POST', '/api/v1/chat', { body: { message: 'Hello', stream: true } })
    const reader = (response.body ?? new ReadableStream()).getReader()

    const { value } = await reader.read()

    expect(new TextDecoder().decode(value)).toBe(': still here\n\n')
    reader.releaseLock()
    model.release()
    expect(await Array.fromAsync(events(response))).toMatchObject([token('Fine'), { event: 'done' }])
  })

  test.each<[string, number, 'anonymous' | 'viewerA' | 'adminB' | 'operatorA', object]>([
    ['without a token', 401, 'anonymous', {}],
    ['as a viewer', 403, 'viewerA', {}],
    ["with another tenant's conversation", 404, 'adminB', {}],
    ['with a field that is not known', 422, 'operatorA', { temperature: 2 }],
  ])('answers %s with a problem, not with a stream', async (_, status, who, extra, world) => {
    const { operatorA, model } = world
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    const question = { message: 'Hello', conversation_id: conversation.id, stream: true }
    model.says('Fine')

    const refused = await world[who].post('/api/v1/chat', { ...question, ...extra })

    expect(refused).toMatchObject({ status, headers: { 'content-type': 'application/problem+json' } })
    expect(await database.select().from(messages)).toEqual([])
    expect(await operatorA.post('/api/v1/chat', question)).toMatchObject({
      status: 200,
      body: [token('Fine'), { event: 'done' }],
    })
  })

  test('ends in an error when the conversation was deleted meanwhile', async ({ operatorA, adminA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    model.does({ type: 'text', text: 'Good' }, { type: 'hang' }, { type: 'end' })
    const response = await operatorA.send('POST', '/api/v1/chat', {
      body: { message: 'Hello', conversation_id: conversation.id, stream: true },
    })
    await model.hanging
    await adminA.delete(`/api/v1/conversations/${conversation.id}`)

    model.release()

    expect(await read(response)).toMatchObject({
      body: [token('Good'), { event: 'error', data: { code: 'not_found' } }],
    })
  })

  test('stops the model and keeps what came when the reader cancels', async ({ operatorA, model, settle }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    model.does({ type: 'text', text: 'Good' }, { type: 'hang' })
    const response = await operatorA.send('POST', '/api/v1/chat', {
      body: { message: 'Hello', conversation_id: conversation.id, stream: true },
    })
    const reader = (response.body ?? new ReadableStream()).getReader()
    await reader.read()
    await model.hanging

    await reader.cancel()

    await settle()
    expect(model.asked[0]?.signal.aborted).toBe(true)
    expect(await operatorA.get(`/api/v1/conversations/${conversation.id}/messages`)).toMatchObject({
      body: [{ role: 'user' }, { role: 'assistant', content: 'Good', status: 'interrupted' }],
    })
  })
})
