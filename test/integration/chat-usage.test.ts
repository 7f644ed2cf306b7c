import { usage_records } from '../../src/database/tables'
import { database, describe, expect, test } from '../kit'

describe('The usage of a chat', () => {
  test('is answered, stored with the message and recorded as the provider counted it', async ({
    operatorA,
    model,
    clock,
    tenantA,
    users,
  }) => {
    model.says('Fine', { prompt_tokens: 21, completion_tokens: 3 })

    const { body } = await operatorA.post('/api/v1/chat', { message: 'Hello', model: 'large' })

    expect(body.usage).toEqual({ prompt_tokens: 21, completion_tokens: 3, total_tokens: 24 })
    expect(await operatorA.get(`/api/v1/conversations/${body.conversation_id}/messages`)).toMatchObject({
      body: [{ prompt_tokens: null }, { prompt_tokens: 21, completion_tokens: 3 }],
    })
    expect(await database.select().from(usage_records)).toEqual([
      {
        id: expect.any(String),
        tenant_id: tenantA.id,
        user_id: users.operatorA.id,
        conversation_id: body.conversation_id,
        message_id: body.message_id,
        model: 'large',
        prompt_tokens: 21,
        completion_tokens: 3,
        is_estimated: false,
        created_at: clock.now(),
      },
    ])
  })

  test.each<[string, { prompt_tokens: number; completion_tokens: number }]>([
    ['negative', { prompt_tokens: -5, completion_tokens: -1 }],
    ['huge', { prompt_tokens: 2 ** 60, completion_tokens: 2 ** 60 }],
    ['not a number', { prompt_tokens: Number.NaN, completion_tokens: Number.NaN }],
    ['zero', { prompt_tokens: 0, completion_tokens: 0 }],
  ])(
    'is estimated, and marked so, where the provider reports what is %s',
    async (_, reported, { operatorA, model }) => {
      model.says('Twelve chars', reported)

      const { body } = await operatorA.post('/api/v1/chat', { message: 'Eight ch' })

      expect(body.usage).toEqual({ prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 })
      expect(await database.select().from(usage_records)).toMatchObject([
        { prompt_tokens: 2, completion_tokens: 3, is_estimated: true },
      ])
    },
  )

  test('counts the history and the system prompt where it is estimated', async ({ operatorA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', { system_prompt: 'Be brief.' })
    model.says('Four', { prompt_tokens: 10, completion_tokens: 1 }).says('Four')
    await operatorA.post('/api/v1/chat', { message: 'Four', conversation_id: conversation.id })

    const { body } = await operatorA.post('/api/v1/chat', { message: 'Four', conversation_id: conversation.id })

    expect(body.usage).toEqual({ prompt_tokens: 6, completion_tokens: 1, total_tokens: 7 })
  })

  test('is recorded for the text that came before a reply was cut', async ({ operatorA, model }) => {
    model.does({ type: 'text', text: 'Twelve chars' })

    const response = await operatorA.post('/api/v1/chat', { message: 'Eight ch' })

    expect(response).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
    expect(await database.select().from(usage_records)).toMatchObject([
      { prompt_tokens: 2, completion_tokens: 3, is_estimated: true },
    ])
  })

  test('is not made up where the provider gave nothing', async ({ operatorA, model }) => {
    model.does().says('Fine')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello' })

    expect(response.status).toBe(502)
    expect(await database.select().from(usage_records)).toEqual([])
    expect(await operatorA.post('/api/v1/chat', { message: 'Hello' })).toMatchObject({ status: 200 })
    expect(await database.select().from(usage_records)).toHaveLength(1)
  })
})
