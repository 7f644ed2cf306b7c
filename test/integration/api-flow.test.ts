import { describe, expect, test } from '../kit'

const unknownId = '019cadc6-9a80-7000-8000-000000000000'

describe('a chat from start to end', () => {
  test('creates a conversation, replies in it and keeps what was said in order', async ({ operatorA, model }) => {
    model
      .says(['Hello', ' there'], { prompt_tokens: 12, completion_tokens: 2 })
      .says('Fine', { prompt_tokens: 20, completion_tokens: 1 })
    const { body: conversation } = await operatorA.post('/api/v1/conversations', { title: 'Small talk' })

    const first = await operatorA.post('/api/v1/chat', { message: 'Hi', conversation_id: conversation.id })
    const second = await operatorA.post('/api/v1/chat', { message: 'How are you?', conversation_id: conversation.id })

    expect(first).toMatchObject({
      status: 200,
      body: {
        response: 'Hello there',
        conversation_id: conversation.id,
        model: 'scripted',
        usage: { prompt_tokens: 12, completion_tokens: 2, total_tokens: 14 },
      },
    })
    expect(second).toMatchObject({ status: 200, body: { response: 'Fine', usage: { total_tokens: 21 } } })
    const { body: messages } = await operatorA.get(`/api/v1/conversations/${conversation.id}/messages`)
    expect(messages).toMatchObject([
      { role: 'user', content: 'Hi', status: 'complete', model: null, prompt_tokens: null },
      { id: first.body.message_id, role: 'assistant', content: 'Hello there', model: 'scripted', prompt_tokens: 12 },
      { role: 'user', content: 'How are you?', status: 'complete' },
      { id: second.body.message_id, role: 'assistant', content: 'Fine', completion_tokens: 1 },
    ])
    expect(await operatorA.get('/api/v1/conversations')).toMatchObject({
      status: 200,
      body: [{ id: conversation.id, message_count: 4 }],
    })
    expect(model.asked[1]?.request.messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello there' },
      { role: 'user', content: 'How are you?' },
    ])
  })

  test('makes a conversation of its own when none is named, called by the first line', async ({ operatorA, model }) => {
    model.says('Sure.')

    const { status, body } = await operatorA.post('/api/v1/chat', { message: 'Plan the offsite\nin May' })

    expect(status).toBe(200)
    expect(await operatorA.get(`/api/v1/conversations/${body.conversation_id}`)).toMatchObject({
      status: 200,
      body: { title: 'Plan the offsite', message_count: 2 },
    })
  })
})

describe('the life of a conversation', () => {
  test('is created, read, changed, listed and deleted', async ({ adminA }) => {
    const created = await adminA.post('/api/v1/conversations', { title: 'Draft' })
    const path = `/api/v1/conversations/${created.body.id}`
    const changed = await adminA.patch(path, { title: 'Final' })
    const read = await adminA.get(path)
    const listed = await adminA.get('/api/v1/conversations')
    const removed = await adminA.delete(path)
    const gone = await adminA.get(path)

    expect(created).toMatchObject({ status: 201, body: { title: 'Draft', message_count: 0 } })
    expect(changed).toMatchObject({ status: 200, body: { id: created.body.id, title: 'Final' } })
    expect(read).toMatchObject({ status: 200, body: changed.body })
    expect(listed).toMatchObject({ status: 200, body: [changed.body] })
    expect(removed).toMatchObject({ status: 204, body: undefined })
    expect(gone).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })

  test("is hidden from another tenant as if it did not exist, and stays its owner's", async ({ adminA, adminB }) => {
    const { body: created } = await adminA.post('/api/v1/conversations', { title: 'Q3 planning' })

    const answers = [
      await adminB.get(`/api/v1/conversations/${created.id}`),
      await adminB.get(`/api/v1/conversations/${created.id}/messages`),
      await adminB.patch(`/api/v1/conversations/${created.id}`, { title: 'Mine now' }),
      await adminB.delete(`/api/v1/conversations/${created.id}`),
      await adminB.post('/api/v1/chat', { message: 'Hi', conversation_id: created.id }),
    ]

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404])
    expect(await adminB.get('/api/v1/conversations')).toMatchObject({ status: 200, body: [] })
    expect(await adminA.get(`/api/v1/conversations/${created.id}`)).toMatchObject({ status: 200, body: created })
  })

  test.each([
    ['an id that nobody has', unknownId],
    ['no id at all', 'not-an-id'],
    ['an id cut short', '019cadc6-9a80-7000-8000'],
  ] as const)('answers %s like a deleted one', async (_what, id, { adminA }) => {
    const { body: deleted } = await adminA.post('/api/v1/conversations', {})
    await adminA.delete(`/api/v1/conversations/${deleted.id}`)

    const answer = await adminA.get(`/api/v1/conversations/${id}`)

    const { body: problem } = await adminA.get(`/api/v1/conversations/${deleted.id}`)
    const own = { instance: `/api/v1/conversations/${id}`, request_id: answer.body.request_id }
    expect(answer).toMatchObject({ status: 404, body: { ...problem, ...own } })
  })
})

describe('a viewer', () => {
  test('reads, and neither writes nor administrates', async ({ viewerA, operatorA, adminA, model }) => {
    model.says('Done.')
    const { body: created } = await operatorA.post('/api/v1/conversations', { title: 'Open to read' })
    const path = `/api/v1/conversations/${created.id}`

    const refused = [
      await viewerA.post('/api/v1/conversations', { title: 'Mine' }),
      await viewerA.patch(path, { title: 'Mine' }),
      await viewerA.delete(path),
      await viewerA.post('/api/v1/chat', { message: 'Hi', conversation_id: created.id }),
      await viewerA.get('/api/v1/admin/users'),
      await viewerA.patch('/api/v1/admin/tenant/settings', { name: 'Mine' }),
    ]

    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [403, 'forbidden']))
    expect(await viewerA.get(path)).toMatchObject({ status: 200, body: created })
    expect(await operatorA.post('/api/v1/chat', { message: 'Hi', conversation_id: created.id })).toMatchObject({
      status: 200,
    })
    expect(await operatorA.patch(path, { title: 'Ours' })).toMatchObject({ status: 200 })
    expect(await adminA.get('/api/v1/admin/users')).toMatchObject({ status: 200 })
    expect(await adminA.patch('/api/v1/admin/tenant/settings', { name: 'Acme 2' })).toMatchObject({ status: 200 })
    expect(await adminA.delete(path)).toMatchObject({ status: 204 })
  })
})
