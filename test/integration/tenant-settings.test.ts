import { describe, expect, test } from '../kit'

const path = '/api/v1/admin/tenant/settings'
const untouched = {
  default_model: null,
  system_prompt: null,
  monthly_token_quota: null,
  requests_per_minute: null,
  retention_days: null,
  prices: {},
}

describe('GET /api/v1/admin/tenant/settings', () => {
  test('shows a new tenant its name and that nothing else is set', async ({ adminA }) => {
    const response = await adminA.get(path)

    expect(response.status).toBe(200)
    expect(response.body).toEqual({ name: 'Acme', ...untouched })
  })
})

describe('PATCH /api/v1/admin/tenant/settings', () => {
  const changes: [string, unknown][] = [
    ['name', 'Acme Research'],
    ['name', 'Ä'],
    ['name', 'x'.repeat(200)],
    ['default_model', 'small-model'],
    ['default_model', 'x'.repeat(200)],
    ['system_prompt', 'Answer briefly.'],
    ['system_prompt', ''],
    ['system_prompt', 'x'.repeat(32_000)],
    ['monthly_token_quota', 0],
    ['monthly_token_quota', 5_000_000_000],
    ['monthly_token_quota', Number.MAX_SAFE_INTEGER],
    ['requests_per_minute', 1],
    ['requests_per_minute', 1_000_000],
    ['retention_days', 1],
    ['retention_days', 36_500],
    ['prices', {}],
    ['prices', { scripted: { prompt_micros_per_million_tokens: 0, completion_micros_per_million_tokens: 15_000_000 } }],
  ]
  test.each(changes)('changes %s and nothing else', async (field, value, { adminA }) => {
    const response = await adminA.patch(path, { [field]: value })

    expect(response.status).toBe(200)
    expect(response.body).toEqual({ name: 'Acme', ...untouched, [field]: value })
    expect((await adminA.get(path)).body).toEqual(response.body)
  })

  test('changes all fields together, and nothing when asked for nothing', async ({ adminA }) => {
    const all = {
      name: 'Acme Research',
      default_model: 'small-model',
      system_prompt: 'Answer briefly.',
      monthly_token_quota: 1_000_000,
      requests_per_minute: 60,
      retention_days: 90,
    }

    const changed = await adminA.patch(path, all)
    const unchanged = await adminA.patch(path, {})

    expect(changed).toMatchObject({ status: 200, body: all })
    expect(unchanged).toMatchObject({ status: 200, body: all })
  })

  const clearable: [string, unknown][] = [
    ['default_model', 'small-model'],
    ['system_prompt', 'Answer briefly.'],
    ['monthly_token_quota', 1000],
    ['requests_per_minute', 60],
    ['retention_days', 90],
  ]
  test.each(clearable)('clears %s with null', async (field, value, { adminA }) => {
    const { body: set } = await adminA.patch(path, { [field]: value })

    const response = await adminA.patch(path, { [field]: null })

    expect(set).toEqual({ name: 'Acme', ...untouched, [field]: value })
    expect(response).toMatchObject({ status: 200, body: { name: 'Acme', ...untouched } })
  })

  const refused: [string, unknown][] = [
    ['name', null],
    ['name', ''],
    ['name', 'x'.repeat(201)],
    ['name', 7],
    ['default_model', ''],
    ['default_model', 'x'.repeat(201)],
    ['system_prompt', 'x'.repeat(32_001)],
    ['system_prompt', ['Answer briefly.']],
    ['monthly_token_quota', -1],
    ['monthly_token_quota', 1.5],
    ['monthly_token_quota', '1000'],
    ['monthly_token_quota', Number.MAX_SAFE_INTEGER + 1],
    ['requests_per_minute', 0],
    ['requests_per_minute', 1_000_001],
    ['retention_days', 0],
    ['retention_days', 36_501],
    ['retention_days', true],
    ['id', '01890000-0000-7000-8000-000000000000'],
    ['tenant_id', '01890000-0000-7000-8000-000000000000'],
    ['slug', 'globex'],
    ['is_active', false],
  ]
  test.each(refused)('refuses %s as %j and changes nothing', async (field, value, { adminA }) => {
    const response = await adminA.patch(path, { retention_days: 90, [field]: value })

    expect(response).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', errors: [{ in: 'body', path: `/${field}` }] },
    })
    expect((await adminA.get(path)).body).toEqual({ name: 'Acme', ...untouched })
    expect(await adminA.patch(path, { retention_days: 90 })).toMatchObject({ status: 200 })
  })

  test("leaves another tenant's settings alone", async ({ adminA, adminB }) => {
    await adminB.patch(path, { retention_days: 30 })

    await adminA.patch(path, { name: 'Acme Research', retention_days: 90, system_prompt: 'Answer briefly.' })

    expect((await adminB.get(path)).body).toEqual({ name: 'Globex', ...untouched, retention_days: 30 })
  })

  test('changes the name that every user of the tenant is told', async ({ adminA, viewerA, adminB }) => {
    await adminA.patch(path, { name: 'Acme Research' })

    const [own, others] = await Promise.all([viewerA.get('/api/v1/me'), adminB.get('/api/v1/me')])

    expect(own.body.tenant).toMatchObject({ slug: 'acme', name: 'Acme Research' })
    expect(others.body.tenant).toMatchObject({ slug: 'globex', name: 'Globex' })
  })
})

describe('/api/v1/admin/tenant/settings', () => {
  test('is for admins', async ({ adminA, operatorA, viewerA }) => {
    const asked = (each: typeof adminA) => [each.get(path), each.patch(path, { retention_days: 90 })]

    const refusals = await Promise.all([...asked(operatorA), ...asked(viewerA)])

    const refused = [403, 'forbidden']
    expect(refusals.map(({ status, body }) => [status, body.code])).toEqual([refused, refused, refused, refused])
    expect(await adminA.get(path)).toMatchObject({ status: 200, body: untouched })
    expect(await Promise.all(asked(adminA))).toMatchObject([{ status: 200 }, { status: 200 }])
  })
})

describe('POST /api/v1/chat, as the settings say', () => {
  const question = { role: 'user', content: 'Hello?' } as const

  test('asks the default model of the tenant, with its system prompt', async ({ adminA, operatorA, model }) => {
    await adminA.patch(path, { default_model: 'small-model', system_prompt: 'Answer briefly.' })
    model.says('Hello.')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({ status: 200, body: { model: 'small-model' } })
    expect(model.asked[0]?.request).toEqual({
      model: 'small-model',
      messages: [{ role: 'system', content: 'Answer briefly.' }, question],
    })
  })

  test("asks the server's model, with no system prompt, where nothing is set", async ({ operatorA, model }) => {
    model.says('Hello.')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({ status: 200, body: { model: 'scripted' } })
    expect(model.asked[0]?.request).toEqual({ model: 'scripted', messages: [question] })
  })

  test('asks the model that the question names', async ({ adminA, operatorA, model }) => {
    await adminA.patch(path, { default_model: 'small-model' })
    model.says('Hello.')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello?', model: 'large-model' })

    expect(response).toMatchObject({ status: 200, body: { model: 'large-model' } })
    expect(model.asked[0]?.request).toEqual({ model: 'large-model', messages: [question] })
  })

  test("sends the conversation's own system prompt where it has one", async ({ adminA, operatorA, model }) => {
    await adminA.patch(path, { system_prompt: 'Answer briefly.' })
    const { body: own } = await operatorA.post('/api/v1/conversations', { system_prompt: 'Answer in verse.' })
    model.says('Hello.')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello?', conversation_id: own.id })

    expect(response).toMatchObject({ status: 200 })
    expect(model.asked[0]?.request.messages).toEqual([{ role: 'system', content: 'Answer in verse.' }, question])
  })

  test("says nothing of one tenant's settings to another's model", async ({ adminA, adminB, model }) => {
    await adminA.patch(path, { default_model: 'small-model', system_prompt: 'The launch is in May.' })
    model.says('Hello.').says('Hello.')

    await adminB.post('/api/v1/chat', { message: 'Hello?' })
    await adminA.post('/api/v1/chat', { message: 'Hello?' })

    expect(model.asked[0]?.request).toEqual({ model: 'scripted', messages: [question] })
    expect(model.asked[1]?.request.messages).toEqual([{ role: 'system', content: 'The launch is in May.' }, question])
  })

  test('follows a change from the next question on', async ({ adminA, operatorA, model }) => {
    await adminA.patch(path, { default_model: 'small-model' })
    model.says('Hello.').says('Hello.')
    const { body: first } = await operatorA.post('/api/v1/chat', { message: 'Hello?' })
    await adminA.patch(path, { default_model: null })

    const { body: second } = await operatorA.post('/api/v1/chat', { message: 'Hello?' })

    expect([first.model, second.model]).toEqual(['small-model', 'scripted'])
  })
})
