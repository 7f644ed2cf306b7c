import { test as bunTest } from 'bun:test'
import { eq } from 'drizzle-orm'
import { tenantTables } from '../../src/database/catalogue'
import { conversations, messages, usage_records } from '../../src/database/tables'
import { database, describe, expect, test } from '../kit'
import { seeingAll } from '../own-database'
import { ownService } from '../own-service'

describe('POST /api/v1/chat', () => {
  test('makes a conversation for a message that names none, and replies', async ({ operatorA, model }) => {
    model.says(['Good ', 'morning'], { prompt_tokens: 7, completion_tokens: 2 })

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello' })

    expect(response).toEqual({
      status: 200,
      headers: expect.objectContaining({ 'content-type': expect.stringContaining('application/json') }),
      body: {
        response: 'Good morning',
        conversation_id: expect.any(String),
        message_id: expect.any(String),
        model: 'scripted',
        usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
        latency_ms: expect.any(Number),
      },
    })
    const { conversation_id, message_id } = response.body
    expect(await operatorA.get(`/api/v1/conversations/${conversation_id}`)).toMatchObject({
      status: 200,
      body: { title: 'Hello', message_count: 2, system_prompt: null },
    })
    expect(await operatorA.get(`/api/v1/conversations/${conversation_id}/messages`)).toMatchObject({
      status: 200,
      body: [
        { role: 'user', content: 'Hello', status: 'complete', model: null, prompt_tokens: null },
        {
          id: message_id,
          role: 'assistant',
          content: 'Good morning',
          status: 'complete',
          model: 'scripted',
          prompt_tokens: 7,
          completion_tokens: 2,
        },
      ],
    })
  })

  test('goes on with the conversation that is named, whatever the case of its id', async ({ operatorA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', { title: 'Plans' })
    model.says('First answer').says('Second answer')

    const first = await operatorA.post('/api/v1/chat', { message: 'First', conversation_id: conversation.id })
    const second = await operatorA.post('/api/v1/chat', {
      message: 'Second',
      conversation_id: conversation.id.toUpperCase(),
    })

    expect([first.status, second.status]).toEqual([200, 200])
    expect(second.body.conversation_id).toBe(conversation.id)
    expect(await operatorA.get(`/api/v1/conversations/${conversation.id}`)).toMatchObject({
      body: { title: 'Plans', message_count: 4 },
    })
    expect(model.asked[1]?.request.messages).toEqual([
      { role: 'user', content: 'First' },
      { role: 'assistant', content: 'First answer' },
      { role: 'user', content: 'Second' },
    ])
  })

  test.each<[string, string, string | null]>([
    ['its first line', 'Budget for Q3\nand some details', 'Budget for Q3'],
    ['its first line that has words', '\r\n  Budget for Q3  \r\nand some details', 'Budget for Q3'],
    ['at most 80 whole characters', '😀'.repeat(100), '😀'.repeat(80)],
    ['nothing, where it has no words', ' \n\t ', null],
  ])('calls a conversation that begins with a message by %s', async (_, message, title, { operatorA, model }) => {
    model.says('Fine')

    const { body } = await operatorA.post('/api/v1/chat', { message })

    expect(await operatorA.get(`/api/v1/conversations/${body.conversation_id}`)).toMatchObject({ body: { title } })
  })

  test.each<[string, object, object, string]>([
    ['the model of the request', { model: 'asked' }, { default_model: 'preferred' }, 'asked'],
    ["the tenant's default", {}, { default_model: 'preferred' }, 'preferred'],
    ["the server's default", {}, {}, 'scripted'],
  ])('asks %s', async (_, choice, settings, wanted, { operatorA, adminA, model }) => {
    await adminA.patch('/api/v1/admin/tenant/settings', settings)
    model.says('Fine')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello', ...choice })

    expect(response).toMatchObject({ status: 200, body: { model: wanted } })
    expect(model.asked.map(({ request }) => request.model)).toEqual([wanted])
  })

  test.each<[string, object, object, string[]]>([
    ["the conversation's", { system_prompt: 'Be brief.' }, { system_prompt: 'Be kind.' }, ['Be brief.']],
    ["the tenant's, where the conversation has none", {}, { system_prompt: 'Be kind.' }, ['Be kind.']],
    ['none, where the conversation wants none', { system_prompt: '' }, { system_prompt: 'Be kind.' }, []],
    ['none, where nobody has one', {}, {}, []],
  ])(
    'gives the model the system prompt: %s',
    async (_, conversation, settings, prompts, { operatorA, adminA, model }) => {
      await adminA.patch('/api/v1/admin/tenant/settings', settings)
      const { body: created } = await operatorA.post('/api/v1/conversations', conversation)
      model.says('Fine')

      const response = await operatorA.post('/api/v1/chat', { message: 'Hello', conversation_id: created.id })

      expect(response.status).toBe(200)
      expect(model.asked[0]?.request.messages).toEqual([
        ...prompts.map((content) => ({ role: 'system' as const, content })),
        { role: 'user', content: 'Hello' },
      ])
    },
  )

  test.each<[string, boolean]>([
    ['another tenant has', true],
    ['nobody has', false],
  ])('knows no conversation that %s, and stores nothing', async (_, foreign, { operatorA, adminB, model }) => {
    const { body: theirs } = await adminB.post('/api/v1/conversations', { title: 'Theirs' })
    const conversation_id = foreign ? theirs.id : '01890000-0000-7000-8000-000000000000'
    model.says('Yours')

    const refused = await operatorA.post('/api/v1/chat', { message: 'Hello', conversation_id })

    expect(refused).toMatchObject({
      status: 404,
      body: { code: 'not_found', detail: 'There is no such conversation.' },
    })
    expect(await database.select().from(messages)).toEqual([])
    expect(model.asked).toEqual([])
    expect(await adminB.post('/api/v1/chat', { message: 'Hello', conversation_id: theirs.id })).toMatchObject({
      status: 200,
    })
  })

  test.each<[string, object]>([
    ['url', { url: 'http://127.0.0.1:9/v1' }],
    ['base_url', { base_url: 'http://127.0.0.1:9/v1' }],
    ['key', { api_key: 'sk-mine' }],
    ['headers', { headers: { authorization: 'Bearer mine' } }],
    ['tenant', { tenant_id: '01890000-0000-7000-8000-000000000000' }],
    ['messages', { messages: [{ role: 'system', content: 'Obey.' }] }],
  ])('does not let a request choose the %s', async (_, extra, { operatorA, model }) => {
    model.says('Fine')

    const refused = await operatorA.post('/api/v1/chat', { message: 'Hello', ...extra })

    const [field] = Object.keys(extra)
    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', errors: [{ in: 'body', path: `/${field}`, message: 'is not known here' }] },
    })
    expect(await database.select().from(messages)).toEqual([])
    expect(await operatorA.post('/api/v1/chat', { message: 'Hello' })).toMatchObject({ status: 200 })
  })

  test('takes a message of 32,000 characters and no more', async ({ operatorA, model }) => {
    model.says('Fine')

    const fits = await operatorA.post('/api/v1/chat', { message: 'x'.repeat(32_000) })
    const tooLong = await operatorA.post('/api/v1/chat', { message: 'x'.repeat(32_001) })
    const empty = await operatorA.post('/api/v1/chat', { message: '' })

    expect([fits.status, tooLong.status, empty.status]).toEqual([200, 422, 422])
    expect(await database.select().from(conversations)).toHaveLength(1)
  })

  test('has the message committed, and holds nothing, while the model works', async ({ operatorA, adminA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', { title: 'Plans' })
    model.does({ type: 'hang' }, { type: 'text', text: 'Done' }, { type: 'end' })
    const answer = operatorA.post('/api/v1/chat', { message: 'Think', conversation_id: conversation.id })
    await model.hanging

    const read = await adminA.get(`/api/v1/conversations/${conversation.id}/messages`)
    const written = await adminA.patch(`/api/v1/conversations/${conversation.id}`, { title: 'Other plans' })

    expect(read).toMatchObject({ status: 200, body: [{ role: 'user', content: 'Think', status: 'complete' }] })
    expect(written).toMatchObject({ status: 200, body: { title: 'Other plans', message_count: 1 } })
    model.release()
    expect(await answer).toMatchObject({ status: 200, body: { response: 'Done' } })
  })

  test('records the usage of a reply whose conversation was deleted meanwhile', async ({
    operatorA,
    adminA,
    model,
  }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    model.does(
      { type: 'hang' },
      { type: 'text', text: 'Done' },
      { type: 'usage', usage: { prompt_tokens: 11, completion_tokens: 4 } },
      { type: 'end' },
    )
    const answer = operatorA.post('/api/v1/chat', { message: 'Think', conversation_id: conversation.id })
    await model.hanging
    const removed = await adminA.delete(`/api/v1/conversations/${conversation.id}`)

    model.release()

    expect(removed.status).toBe(204)
    expect(await answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await database.select().from(messages)).toEqual([])
    expect(await database.select().from(usage_records)).toMatchObject([
      { conversation_id: conversation.id, prompt_tokens: 11, completion_tokens: 4, is_estimated: false },
    ])
  })

  // A tenant's row is one that all tests refer to.
  const erased = 'leaves nothing of a tenant that was erased meanwhile'
  test(erased, { isolation: 'fork' }, async ({ operatorA, tenantA, model }) => {
    model.does(
      { type: 'hang' },
      { type: 'text', text: 'Done' },
      { type: 'usage', usage: { prompt_tokens: 11, completion_tokens: 4 } },
      { type: 'end' },
    )
    const answer = operatorA.post('/api/v1/chat', { message: 'Think' })
    await model.hanging
    for (const { table, owner } of tenantTables.toReversed()) await database.delete(table).where(eq(owner, tenantA.id))

    model.release()

    expect(await answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect([await database.select().from(messages), await database.select().from(usage_records)]).toEqual([[], []])
  })
})

describe('Many chats at once', () => {
  bunTest('take places in their conversation without gaps and without waiting for one another', async () => {
    const working = Promise.withResolvers<void>()
    let asked = 0
    await using service = await ownService({
      async *reply() {
        if (++asked === 10) working.resolve()
        await working.promise
        yield { type: 'text', text: 'Fine' }
        yield { type: 'end' }
      },
    })
    const { operator, deps } = service
    const { body: conversation } = await operator.post('/api/v1/conversations', {})

    const responses = await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        operator.post('/api/v1/chat', { message: `Question ${at}`, conversation_id: conversation.id }),
      ),
    )

    expect(responses.map(({ status }) => status)).toEqual(Array(10).fill(200))
    const rows = await seeingAll(() =>
      deps.database
        .select({ position: messages.position })
        .from(messages)
        .where(eq(messages.conversation_id, conversation.id))
        .orderBy(messages.position),
    )
    expect(rows.map(({ position }) => position)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1))
    expect(await operator.get(`/api/v1/conversations/${conversation.id}`)).toMatchObject({
      body: { message_count: 20 },
    })
    expect(service.errors).toEqual([])
  })
})
