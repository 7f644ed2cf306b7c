import { eq } from 'drizzle-orm'
import { conversations, messages } from '../../src/database/tables'
import { newId } from '../../src/ids'
import { ProviderFailure } from '../../src/providers/provider'
import { database, describe, expect, startsAt, test } from '../kit'

type Said = { role: 'user' | 'assistant'; content: string; status?: 'complete' | 'interrupted' | 'failed' }

/** Rows as if they had been said, because a hundred replies are slow to ask for. */
async function wereSaid({ id, tenant_id }: { id: string; tenant_id: string }, said: Said[]) {
  await database.insert(messages).values(
    said.map(({ status = 'complete', ...message }, at) => ({
      ...message,
      status,
      tenant_id,
      conversation_id: id,
      position: at + 1,
      id: newId({ now: () => startsAt }),
      created_at: startsAt,
    })),
  )
  await database.update(conversations).set({ message_count: said.length }).where(eq(conversations.id, id))
}

describe('The history that goes along with a message', () => {
  test('is what was said in this conversation, oldest first', async ({ operatorA, model }) => {
    model.says('Paris').says('Rome').says('Elsewhere')
    const { body: first } = await operatorA.post('/api/v1/chat', { message: 'Capital of France?' })
    await operatorA.post('/api/v1/chat', { message: 'Something else' })

    await operatorA.post('/api/v1/chat', { message: 'And of Italy?', conversation_id: first.conversation_id })

    expect(model.asked[2]?.request.messages).toEqual([
      { role: 'user', content: 'Capital of France?' },
      { role: 'assistant', content: 'Paris' },
      { role: 'user', content: 'And of Italy?' },
    ])
  })

  test('leaves out replies that failed or were interrupted', async ({ operatorA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    await wereSaid(conversation, [
      { role: 'user', content: 'One' },
      { role: 'assistant', content: 'Half of an ans', status: 'interrupted' },
      { role: 'user', content: 'Two' },
      { role: 'assistant', content: 'Nothi', status: 'failed' },
      { role: 'user', content: 'Three' },
      { role: 'assistant', content: 'A whole answer' },
    ])
    model.says('Fine')

    await operatorA.post('/api/v1/chat', { message: 'Four', conversation_id: conversation.id })

    expect(model.asked[0]?.request.messages).toEqual([
      { role: 'user', content: 'One' },
      { role: 'user', content: 'Two' },
      { role: 'user', content: 'Three' },
      { role: 'assistant', content: 'A whole answer' },
      { role: 'user', content: 'Four' },
    ])
  })

  test('leaves out a reply that has just failed', async ({ operatorA, model }) => {
    model
      .does(
        { type: 'text', text: 'Half' },
        { type: 'fail', error: new ProviderFailure('The provider answered with status 500.', 'failed') },
      )
      .says('Whole')
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    const failed = await operatorA.post('/api/v1/chat', { message: 'One', conversation_id: conversation.id })

    await operatorA.post('/api/v1/chat', { message: 'Two', conversation_id: conversation.id })

    expect(failed.status).toBe(502)
    expect(model.asked[1]?.request.messages).toEqual([
      { role: 'user', content: 'One' },
      { role: 'user', content: 'Two' },
    ])
  })

  test('is at most the newest 100 messages', async ({ operatorA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', { system_prompt: 'Be brief.' })
    await wereSaid(
      conversation,
      Array.from({ length: 120 }, (_, at) => ({
        role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
        content: `Message ${at + 1}`,
      })),
    )
    model.says('Fine')

    await operatorA.post('/api/v1/chat', { message: 'The newest', conversation_id: conversation.id })

    const given = model.asked[0]?.request.messages.map(({ content }) => content)
    expect(given).toEqual(['Be brief.', ...Array.from({ length: 100 }, (_, at) => `Message ${at + 21}`), 'The newest'])
  })

  test('is at most 64,000 characters, in whole messages', async ({ operatorA, model }) => {
    const { body: conversation } = await operatorA.post('/api/v1/conversations', {})
    await wereSaid(conversation, [
      { role: 'user', content: 'small, but older than what is too much' },
      { role: 'assistant', content: 'a'.repeat(32_001) },
      { role: 'user', content: 'b'.repeat(32_000) },
      { role: 'assistant', content: 'c'.repeat(32_000) },
    ])
    model.says('Fine')

    await operatorA.post('/api/v1/chat', { message: 'd'.repeat(32_000), conversation_id: conversation.id })

    expect(model.asked[0]?.request.messages).toEqual([
      { role: 'user', content: 'b'.repeat(32_000) },
      { role: 'assistant', content: 'c'.repeat(32_000) },
      { role: 'user', content: 'd'.repeat(32_000) },
    ])
  })
})
