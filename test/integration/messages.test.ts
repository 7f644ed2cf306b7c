import { describe, expect, test } from '../kit'

type Said = { content: string }
const nextOf = (headers: Record<string, string>) => /^<(\S+)>; rel="next"$/.exec(headers.link ?? '')?.[1]
const contents = (body: Said[]) => body.map(({ content }) => content)

describe('GET /api/v1/conversations/:id/messages', () => {
  test('shows each message whole, oldest first', async ({ operatorA, viewerA, model, clock }) => {
    model.says('Hello', { prompt_tokens: 3, completion_tokens: 2 })
    const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'Hi', model: 'large' })
    clock.advance({ minutes: 5 })
    model.says('Again', { prompt_tokens: 9, completion_tokens: 1 })
    await operatorA.post('/api/v1/chat', { message: 'Once more', conversation_id: reply.conversation_id })

    const response = await viewerA.get(`/api/v1/conversations/${reply.conversation_id}/messages`)

    const uuid = expect.stringMatching(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/)
    const asked = { role: 'user', status: 'complete', model: null, prompt_tokens: null, completion_tokens: null }
    const said = { role: 'assistant', status: 'complete' }
    const [before, after] = ['2026-03-02T09:00:00.000Z', '2026-03-02T09:05:00.000Z']
    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': '4' } })
    expect(response.body).toEqual([
      { ...asked, id: uuid, content: 'Hi', created_at: before },
      {
        ...said,
        id: reply.message_id,
        content: 'Hello',
        model: 'large',
        prompt_tokens: 3,
        completion_tokens: 2,
        created_at: before,
      },
      { ...asked, id: uuid, content: 'Once more', created_at: after },
      {
        ...said,
        id: uuid,
        content: 'Again',
        model: 'scripted',
        prompt_tokens: 9,
        completion_tokens: 1,
        created_at: after,
      },
    ])
  })

  test('is empty for a new conversation', async ({ operatorA }) => {
    const { body: created } = await operatorA.post('/api/v1/conversations', {})

    const response = await operatorA.get(`/api/v1/conversations/${created.id}/messages`)

    expect(response).toMatchObject({ status: 200, body: [], headers: { 'x-total-count': '0' } })
    expect(response.headers.link).toBeUndefined()
  })

  test('keeps text as it was written', async ({ operatorA, model }) => {
    const message = ' line one\n\tline two · Привет 你好 🚀 <script>alert(1)</script> \\ " \u2028'
    model.says(`"${message}"`)

    const { body: reply } = await operatorA.post('/api/v1/chat', { message })

    const { body } = await operatorA.get(`/api/v1/conversations/${reply.conversation_id}/messages`)
    expect(contents(body)).toEqual([message, `"${message}"`])
  })

  test('follows the next link from the first to the last message', async ({ operatorA, model }) => {
    model.says('b').says('d').says('f')
    const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'a' })
    await operatorA.post('/api/v1/chat', { message: 'c', conversation_id: reply.conversation_id })
    await operatorA.post('/api/v1/chat', { message: 'e', conversation_id: reply.conversation_id })
    const path = `/api/v1/conversations/${reply.conversation_id}/messages`

    const pages: string[][] = []
    for (let next: string | undefined = `${path}?limit=4`; next !== undefined; ) {
      const { body, headers } = await operatorA.get(next)
      pages.push(contents(body))
      next = nextOf(headers)
    }

    expect(pages).toEqual([
      ['a', 'b', 'c', 'd'],
      ['e', 'f'],
    ])
  })

  test('gives every message once while new ones arrive', async ({ operatorA, model }) => {
    model.says('b').says('d').says('f')
    const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'a' })
    await operatorA.post('/api/v1/chat', { message: 'c', conversation_id: reply.conversation_id })
    const first = await operatorA.get(`/api/v1/conversations/${reply.conversation_id}/messages?limit=3`)
    await operatorA.post('/api/v1/chat', { message: 'e', conversation_id: reply.conversation_id })

    const rest = await operatorA.get(`${nextOf(first.headers)}`)

    expect([contents(first.body), contents(rest.body)]).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e', 'f'],
    ])
    expect(rest.headers['x-total-count']).toBe('6')
  })

  test.each([
    ['?offset=1', ['b', 'c', 'd'], undefined],
    ['?limit=2&offset=1', ['b', 'c'], '?limit=2&offset=3'],
    ['?limit=2&offset=2', ['c', 'd'], undefined],
    ['?offset=4', [], undefined],
    ['?offset=1000000', [], undefined],
  ] as const)('cuts by offset: %s', async (query, expected, next, { operatorA, model }) => {
    model.says('b').says('d')
    const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'a' })
    await operatorA.post('/api/v1/chat', { message: 'c', conversation_id: reply.conversation_id })
    const path = `/api/v1/conversations/${reply.conversation_id}/messages`

    const response = await operatorA.get(`${path}${query}`)

    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': '4' } })
    expect(contents(response.body)).toEqual([...expected])
    expect(response.headers.link).toBe(next && `<${path}${next}>; rel="next"`)
  })

  test.each(['zzz', '', 'LTE', 'OTk5OTk5OTk5OTk5', 'MTsgRFJPUA'].map((cursor) => [cursor] as const))(
    'refuses the cursor "%s", which no link gave',
    async (cursor, { operatorA, model }) => {
      model.says('b')
      const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'a' })
      const path = `/api/v1/conversations/${reply.conversation_id}/messages`

      const response = await operatorA.get(`${path}?cursor=${cursor}`)

      const refused = [{ in: 'query', path: '/cursor', message: 'is not a cursor that a Link header gave' }]
      expect(response).toMatchObject({ status: 422, body: { errors: refused } })
      expect(await operatorA.get(path)).toMatchObject({ status: 200 })
    },
  )
})
