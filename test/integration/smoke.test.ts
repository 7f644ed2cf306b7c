import { describe, expect, test } from '../kit'

describe('GET /api/v1/conversations/:id', () => {
  test("hides another tenant's conversation as if it did not exist", async ({ adminA, adminB }) => {
    const { body: created } = await adminA.post('/api/v1/conversations', { title: 'Q3 planning' })

    const response = await adminB.get(`/api/v1/conversations/${created.id}`)

    expect(response).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await adminA.get(`/api/v1/conversations/${created.id}`)).toMatchObject({ status: 200 })
  })
  test('chat', async ({ operatorA, model }) => {
    model.says(['Hello', ' there'], { prompt_tokens: 3, completion_tokens: 2 })
    const r = await operatorA.post('/api/v1/chat', { message: 'hi' })
    expect(r).toMatchObject({ status: 200, body: { response: 'Hello there', usage: { total_tokens: 5 } } })
    model.says(['Hello', ' there'])
    const s = await operatorA.post('/api/v1/chat', { message: 'hi', stream: true })
    expect(s).toMatchObject({ status: 200 })
    expect(s.body.map((e: { event: string }) => e.event)).toEqual(['token', 'token', 'done'])
    expect(await operatorA.get('/api/v1/conversations?q=hi')).toMatchObject({ status: 200, body: [{}, {}] })
    expect(await operatorA.get('/api/v1/conversations')).toMatchObject({ status: 200, body: [{}, {}] })
  })
})
