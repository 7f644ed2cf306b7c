import { test as bunTest } from 'bun:test'
import { messages, usage_records } from '../../src/database/tables'
import { ProviderFailure } from '../../src/providers/provider'
import { events } from '../../src/testing'
import { database, describe, expect, test } from '../kit'
import { seeingAll } from '../own-database'
import { ownService } from '../own-service'

const withKey = (key: string) => ({ headers: { 'idempotency-key': key } })
const path = '/api/v1/chat'
const failure = new ProviderFailure('The provider answered with status 500.', 'failed')

describe('A chat with an Idempotency-Key', () => {
  test('is answered again with the same answer, and asked and stored once', async ({ operatorA, model }) => {
    model.says('Fine', { prompt_tokens: 7, completion_tokens: 2 })
    const first = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    const second = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    expect(first).toMatchObject({ status: 200, body: { response: 'Fine' } })
    expect(first.headers).not.toHaveProperty('idempotency-replayed')
    expect(second).toMatchObject({ status: 200, headers: { 'idempotency-replayed': 'true' } })
    expect(second.body).toEqual(first.body)
    expect(model.asked).toHaveLength(1)
    expect(await operatorA.get(`/api/v1/conversations/${first.body.conversation_id}/messages`)).toMatchObject({
      body: [
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Fine' },
      ],
    })
    expect(await database.select().from(usage_records)).toHaveLength(1)
  })

  test.each<[string, boolean, boolean]>([
    ['a stream is repeated as a stream', true, true],
    ['JSON is repeated as a stream', false, true],
    ['a stream is repeated as JSON', true, false],
  ])('may change how its answer travels: %s', async (_, before, after, { operatorA, model }) => {
    model.says(['Fi', 'ne'])
    const question = { message: 'Hello' }
    const answerIn = (body: unknown) => (Array.isArray(body) ? body.at(-1).data : body)
    const first = await operatorA.post(path, { ...question, stream: before }, withKey('key-1'))

    const second = await operatorA.post(path, { ...question, stream: after }, withKey('key-1'))

    expect(second).toMatchObject({ status: 200, headers: { 'idempotency-replayed': 'true' } })
    expect(answerIn(second.body)).toEqual(answerIn(first.body))
    expect(answerIn(second.body)).toMatchObject({
      response: 'Fine',
      conversation_id: second.headers['x-conversation-id'],
    })
    expect(model.asked).toHaveLength(1)
  })

  test('is repeated as one token and one done where it is a stream', async ({ operatorA, model }) => {
    model.says(['Fi', 'ne'])
    const { body: reply } = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    const { body } = await operatorA.post(path, { message: 'Hello', stream: true }, withKey('key-1'))

    expect(body).toEqual([
      { event: 'token', data: { content: 'Fine' } },
      { event: 'done', data: reply },
    ])
  })

  test.each<[string, object]>([
    ['message', { message: 'Goodbye' }],
    ['model', { message: 'Hello', model: 'large' }],
    ['conversation', { message: 'Hello', conversation_id: '01890000-0000-7000-8000-000000000000' }],
  ])('is refused when the same key comes with another %s', async (_, other, { operatorA, model }) => {
    model.says('Fine')
    const first = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    const refused = await operatorA.post(path, other, withKey('key-1'))

    expect(first.status).toBe(200)
    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', errors: [{ in: 'header', path: '/idempotency-key' }] },
    })
    expect(await database.select().from(messages)).toHaveLength(2)
  })

  test("does not meet another user's, or another tenant's, same key", async ({ operatorA, adminA, adminB, model }) => {
    model.says('To the operator').says('To the admin').says('To the other tenant')
    const first = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    const others = [
      await adminA.post(path, { message: 'Hello' }, withKey('key-1')),
      await adminB.post(path, { message: 'Goodbye' }, withKey('key-1')),
    ]

    expect(others).toMatchObject([
      { status: 200, body: { response: 'To the admin' } },
      { status: 200, body: { response: 'To the other tenant' } },
    ])
    const again = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    expect(again.body).toEqual(first.body)
  })

  test('is refused while the first is running', async ({ operatorA, model }) => {
    model.does({ type: 'hang' }, { type: 'text', text: 'Fine' }, { type: 'end' })
    const first = operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    await model.hanging

    const second = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    expect(second).toMatchObject({ status: 409, body: { code: 'conflict' } })
    model.release()
    expect(await first).toMatchObject({ status: 200, body: { response: 'Fine' } })
    expect(await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))).toMatchObject({
      status: 200,
      headers: { 'idempotency-replayed': 'true' },
    })
  })

  test('may be repeated after it failed, and its message is stored once', async ({ operatorA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    const question = { message: 'Hello', conversation_id: conversation.id }
    model.fails(failure).says('Fine')
    const failed = await operatorA.post(path, question, withKey('key-1'))

    const second = await operatorA.post(path, question, withKey('key-1'))

    expect(failed.status).toBe(502)
    expect(second).toMatchObject({ status: 200, body: { response: 'Fine' } })
    expect(second.headers).not.toHaveProperty('idempotency-replayed')
    expect(model.asked[1]?.request.messages).toEqual([{ role: 'user', content: 'Hello' }])
    expect(await operatorA.get(`/api/v1/conversations/${conversation.id}/messages`)).toMatchObject({
      body: [
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: '', status: 'failed' },
        { role: 'assistant', content: 'Fine', status: 'complete' },
      ],
    })
  })

  test('finds its own conversation again where it made one and failed', async ({ operatorA, model }) => {
    model.fails(failure).says('Fine')
    await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    const { body } = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    expect(await operatorA.get('/api/v1/conversations')).toMatchObject({
      headers: { 'x-total-count': '1' },
      body: [{ id: body.conversation_id, message_count: 3 }],
    })
  })

  test('may be repeated after its reader left', async ({ operatorA, model, settle }) => {
    model.does({ type: 'text', text: 'Ha' }, { type: 'hang' }).says('Whole')
    const question = { message: 'Hello', stream: true }
    const left = await operatorA.send('POST', path, { body: question, ...withKey('key-1') })
    const stream = events(left)
    await stream.next()
    await model.hanging
    await stream.return(undefined)
    await settle()

    const { body } = await operatorA.post(path, question, withKey('key-1'))

    expect(body.at(-1)).toMatchObject({ event: 'done', data: { response: 'Whole' } })
    const stored = await database
      .select({ role: messages.role, status: messages.status })
      .from(messages)
      .orderBy(messages.position)
    expect(stored).toEqual([
      { role: 'user', status: 'complete' },
      { role: 'assistant', status: 'interrupted' },
      { role: 'assistant', status: 'complete' },
    ])
  })

  test('does not use up its key where it is refused', async ({ operatorA, adminB, model }) => {
    const { body: theirs } = await adminB.post('/api/v1/conversations', {})
    model.says('Fine')
    const refused = await operatorA.post(path, { message: 'Hi', conversation_id: theirs.id }, withKey('key-1'))

    const other = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    expect([refused.status, other.status]).toEqual([404, 200])
  })

  test('is taken over when its attempt is long dead, whose late answer counts for nothing', async (world) => {
    const { operatorA, model, clock } = world
    model.does({ type: 'hang' }, { type: 'text', text: 'Late' }, { type: 'end' }).says('In time')
    const dead = operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    await model.hanging
    clock.advance({ seconds: 31 })
    const early = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    clock.advance({ seconds: 2 })

    const taken = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    expect(early.status).toBe(409)
    expect(taken).toMatchObject({ status: 200, body: { response: 'In time' } })
    model.release()
    expect(await dead).toMatchObject({ status: 409, body: { code: 'conflict' } })
    const again = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    expect(again.body).toEqual(taken.body)
    expect(await operatorA.get(`/api/v1/conversations/${taken.body.conversation_id}/messages`)).toMatchObject({
      body: [{ content: 'Hello' }, { content: 'In time' }],
    })
    // Both were paid for.
    expect(await database.select().from(usage_records)).toHaveLength(2)
  })

  test('is taken over when its lease was given by a clock that has been set back since', async (world) => {
    const { operatorA, model, clock } = world
    model.does({ type: 'hang' }, { type: 'text', text: 'Late' }, { type: 'end' }).says('In time')
    clock.advance({ minutes: 40 })
    const dead = operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    await model.hanging
    clock.advance({ seconds: -30 })
    const early = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    clock.advance({ minutes: -39 })

    const taken = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    expect(early.status).toBe(409)
    expect(taken).toMatchObject({ status: 200, body: { response: 'In time' } })
    model.release()
    expect(await dead).toMatchObject({ status: 409, body: { code: 'conflict' } })
  })

  test('answers whoever repeats it although the tenant has no tokens left by now', async ({
    operatorA,
    adminA,
    model,
  }) => {
    model.says('Before')
    const first = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    await adminA.patch('/api/v1/admin/tenant/settings', { monthly_token_quota: 0 })

    const again = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    const another = await operatorA.post(path, { message: 'Hello' }, withKey('key-2'))

    expect(again).toMatchObject({ status: 200, body: first.body })
    expect(another.status).toBe(429)
  })

  test('is forgotten after 24 hours', async ({ operatorA, model, clock }) => {
    model.says('Yesterday').says('Today')
    await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    clock.advance({ hours: 24 })
    const lastTime = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))
    clock.advance({ ms: 1 })

    const anew = await operatorA.post(path, { message: 'Hello' }, withKey('key-1'))

    expect(lastTime).toMatchObject({ status: 200, body: { response: 'Yesterday' } })
    expect(anew).toMatchObject({ status: 200, body: { response: 'Today' } })
    expect(anew.headers).not.toHaveProperty('idempotency-replayed')
  })

  test.each<[string, string]>([
    ['nothing', ''],
    ['a space', 'a b'],
    ['a tab', 'a\tb'],
    ['letters beyond ASCII', 'clé'],
    ['256 characters', 'x'.repeat(256)],
  ])('is refused when the key has %s', async (_, key, { operatorA, model }) => {
    model.says('Fine')

    const refused = await operatorA.post(path, { message: 'Hello' }, withKey(key))

    expect(refused).toMatchObject({
      status: 422,
      body: {
        errors: [{ in: 'header', path: '/idempotency-key', message: 'must be 1 to 255 visible ASCII characters' }],
      },
    })
    expect(await database.select().from(messages)).toEqual([])
    expect(await operatorA.post(path, { message: 'Hello' }, withKey('~'.repeat(255)))).toMatchObject({ status: 200 })
  })
})

describe('Many chats with the same Idempotency-Key at once', () => {
  bunTest('run once: one is answered, the others are told to wait', async () => {
    const othersAnswered = Promise.withResolvers<void>()
    let asked = 0
    await using service = await ownService({
      async *reply() {
        asked++
        await othersAnswered.promise
        yield { type: 'text', text: 'Fine' }
        yield { type: 'end' }
      },
    })
    let answered = 0
    const send = async () => {
      const response = await service.operator.post(path, { message: 'Hello' }, withKey('key-1'))
      if (++answered === 19) othersAnswered.resolve()
      return response
    }

    const responses = await Promise.all(Array.from({ length: 20 }, send))

    expect(responses.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(409)])
    expect(asked).toBe(1)
    const stored = await seeingAll(() =>
      service.deps.database.select({ content: messages.content }).from(messages).orderBy(messages.position),
    )
    expect(stored).toEqual([{ content: 'Hello' }, { content: 'Fine' }])
    expect(service.errors).toEqual([])
  })
})
