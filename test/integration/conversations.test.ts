import { describe, expect, test } from '../kit'

const path = (id: string) => `/api/v1/conversations/${id}`

describe('POST /api/v1/conversations', () => {
  test('fills in what was not given', async ({ operatorA, tenantA, users }) => {
    const response = await operatorA.post('/api/v1/conversations', {})

    expect(response.status).toBe(201)
    expect(response.body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      tenant_id: tenantA.id,
      user_id: users.operatorA.id,
      title: null,
      system_prompt: null,
      metadata: {},
      is_archived: false,
      message_count: 0,
      created_at: '2026-03-02T09:00:00.000Z',
      updated_at: '2026-03-02T09:00:00.000Z',
    })
  })

  test.each([
    ['null where a value is optional', { title: null, system_prompt: null }, { title: null, system_prompt: null }],
    ['the longest title', { title: 'x'.repeat(200) }, { title: 'x'.repeat(200) }],
    ['an empty system prompt', { system_prompt: '' }, { system_prompt: '' }],
    ['a title in several scripts', { title: 'Ünï · Привет · 你好 · 🚀' }, { title: 'Ünï · Привет · 你好 · 🚀' }],
  ] as const)('takes %s', async (_what, given, kept, { operatorA }) => {
    const response = await operatorA.post('/api/v1/conversations', given)

    expect(response).toMatchObject({ status: 201, body: kept })
    expect(await operatorA.get(path(response.body.id))).toMatchObject({ status: 200, body: response.body })
  })

  test.each([
    ['a title of 201 characters', { title: 'x'.repeat(201) }, '/title'],
    ['an empty title', { title: '' }, '/title'],
    ['a title that is no text', { title: 7 }, '/title'],
    ['a system prompt of 32001 characters', { system_prompt: 'x'.repeat(32_001) }, '/system_prompt'],
    ['metadata that is a list', { metadata: [] }, '/metadata'],
    ['metadata that is null', { metadata: null }, '/metadata'],
    ['a metadata key of 129 characters', { metadata: { ['k'.repeat(129)]: 1 } }, `/metadata/${'k'.repeat(129)}`],
    ['metadata of 16385 characters', { metadata: { a: 'x'.repeat(16_385 - '{"a":""}'.length) } }, '/metadata'],
    ['archiving before there is anything', { is_archived: true }, '/is_archived'],
  ] as const)('refuses %s', async (_what, body, place, { operatorA }) => {
    const response = await operatorA.post('/api/v1/conversations', body)

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'body', path: place }] } })
    expect(await operatorA.get('/api/v1/conversations')).toMatchObject({ status: 200, body: [] })
    expect(await operatorA.post('/api/v1/conversations', { title: 'x' })).toMatchObject({ status: 201 })
  })

  test('keeps metadata of 16384 characters, and refuses a change to more', async ({ operatorA }) => {
    const metadata = { a: 'x'.repeat(16_384 - '{"a":""}'.length) }
    const { status, body: created } = await operatorA.post('/api/v1/conversations', { metadata })

    const response = await operatorA.patch(path(created.id), { metadata: { ...metadata, b: 1 } })

    const message = 'must have at most 16384 characters as JSON'
    expect(status).toBe(201)
    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'body', path: '/metadata', message }] } })
    expect(await operatorA.get(path(created.id))).toMatchObject({ status: 200, body: { metadata } })
  })

  test('gives metadata back as it came', async ({ operatorA }) => {
    const metadata = {
      nested: { list: [1, 'two', null, { three: 3.5 }], empty: {}, none: [] },
      'clé 你好 🚀': 'ñ\n\t"\\/',
      constructor: { prototype: { polluted: true } },
      toString: 'text',
      '': 'an empty key',
      ['k'.repeat(128)]: true,
      numbers: [0, -1, 0.1, 1e308, 9007199254740991],
    }

    const { body: created } = await operatorA.post('/api/v1/conversations', { metadata })

    const { body: read } = await operatorA.get(path(created.id))
    expect([created.metadata, read.metadata]).toEqual([metadata, metadata])
    expect(Object.keys(read.metadata)).toEqual(Object.keys(metadata)) // in the order in which they came
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })
})

describe('PATCH /api/v1/conversations/:id', () => {
  test.each([
    [{ title: 'After' }],
    [{ system_prompt: 'Be long.' }],
    [{ metadata: { b: 2 } }],
    [{ is_archived: true }],
    [{ title: null, system_prompt: null, metadata: {} }],
    [{}],
  ] as const)('changes only what it names: %j', async (change, { operatorA }) => {
    const before = { title: 'Before', system_prompt: 'Be brief.', metadata: { a: 1 } }
    const { body: created } = await operatorA.post('/api/v1/conversations', before)

    const response = await operatorA.patch(path(created.id), change)

    expect(response.status).toBe(200)
    expect(response.body).toEqual({ ...created, ...change })
    expect(await operatorA.get(path(created.id))).toMatchObject({ status: 200, body: response.body })
  })

  test('moves updated_at with the clock and leaves created_at', async ({ operatorA, clock }) => {
    const { body: created } = await operatorA.post('/api/v1/conversations', { title: 'Before' })
    clock.advance({ days: 1, ms: 7 })

    const { body: changed } = await operatorA.patch(path(created.id), { title: 'After' })

    expect(changed).toMatchObject({
      created_at: '2026-03-02T09:00:00.000Z',
      updated_at: '2026-03-03T09:00:00.007Z',
    })
  })

  test('refuses what it does not know and changes nothing', async ({ operatorA }) => {
    const { body: created } = await operatorA.post('/api/v1/conversations', { title: 'Before' })

    const response = await operatorA.patch(path(created.id), { title: 'After', message_count: 9 })

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'body', path: '/message_count' }] } })
    expect(await operatorA.get(path(created.id))).toMatchObject({ status: 200, body: created })
    expect(await operatorA.patch(path(created.id), { title: 'After' })).toMatchObject({ status: 200 })
  })
})

describe('DELETE /api/v1/conversations/:id', () => {
  test('takes the messages along and nothing else', async ({ adminA, model }) => {
    model.says('One').says('Two')
    const { body: kept } = await adminA.post('/api/v1/chat', { message: 'Keep' })
    const { body: doomed } = await adminA.post('/api/v1/chat', { message: 'Drop' })

    const response = await adminA.delete(path(doomed.conversation_id))

    expect(response).toMatchObject({ status: 204, body: undefined })
    expect(await adminA.get(`${path(doomed.conversation_id)}/messages`)).toMatchObject({ status: 404 })
    expect(await adminA.get(`${path(kept.conversation_id)}/messages`)).toMatchObject({
      status: 200,
      body: [{ content: 'Keep' }, { content: 'One' }],
    })
    expect(await adminA.delete(path(doomed.conversation_id))).toMatchObject({ status: 404 })
  })
})

describe('GET /api/v1/conversations', () => {
  test('is empty for a tenant that has none', async ({ viewerA }) => {
    const response = await viewerA.get('/api/v1/conversations')

    expect(response).toMatchObject({ status: 200, body: [], headers: { 'x-total-count': '0' } })
    expect(response.headers.link).toBeUndefined()
  })

  test("has everybody's of the tenant, newest first", async ({ adminA, operatorA, viewerA, clock }) => {
    await adminA.post('/api/v1/conversations', { title: 'first' })
    clock.advance({ seconds: 1 })
    await operatorA.post('/api/v1/conversations', { title: 'second' })
    clock.advance({ seconds: 1 })
    await adminA.post('/api/v1/conversations', { title: 'third' })

    const response = await viewerA.get('/api/v1/conversations')

    expect(response).toMatchObject({
      status: 200,
      headers: { 'x-total-count': '3' },
      body: [{ title: 'third' }, { title: 'second' }, { title: 'first' }],
    })
  })

  test.each([
    ['', ['open'], '1'],
    ['?include_archived=false', ['open'], '1'],
    ['?include_archived=true', ['archived', 'open'], '2'],
  ] as const)('has the archived ones only when asked: %s', async (query, titles, total, { operatorA }) => {
    await operatorA.post('/api/v1/conversations', { title: 'open' })
    const { body: archived } = await operatorA.post('/api/v1/conversations', { title: 'archived' })
    await operatorA.patch(path(archived.id), { is_archived: true })

    const response = await operatorA.get(`/api/v1/conversations${query}`)

    expect(response.body.map(({ title }: { title: string }) => title)).toEqual(titles)
    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': total } })
  })

  test.each([
    ['include_archived=1', '/include_archived'],
    ['include_archived=TRUE', '/include_archived'],
    ['sort=title', '/sort'],
    [`q=${'x'.repeat(201)}`, '/q'],
  ] as const)('refuses the query %s', async (query, place, { viewerA }) => {
    const response = await viewerA.get(`/api/v1/conversations?${query}`)

    expect(response).toMatchObject({ status: 422, body: { errors: [{ in: 'query', path: place }] } })
    expect(await viewerA.get('/api/v1/conversations')).toMatchObject({ status: 200 })
  })
})
