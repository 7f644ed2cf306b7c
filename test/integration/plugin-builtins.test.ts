import { describe, expect, type Fixtures, test } from '../kit'

const enable = ({ adminA }: Fixtures, name: string, config: object) =>
  adminA.post(`/api/v1/plugins/${name}/enable`, { config })

const messagesOf = async ({ operatorA }: Fixtures, conversation_id: string) =>
  (await operatorA.get(`/api/v1/conversations/${conversation_id}/messages`)).body

const token = (content: string) => ({ event: 'token', data: { content } })

describe('moderation', () => {
  test("refuses a message with a tenant's word in the tenant's words, and no other tenant's", async (world) => {
    const { operatorA, adminB, model } = world
    await enable(world, 'moderation', { words: ['Falcon'], action: 'refuse', message: 'We do not speak of it.' })
    model.says('Fine').says('Fine')

    const refused = await operatorA.post('/api/v1/chat', { message: 'How is falcon?' })
    const ofA = await operatorA.post('/api/v1/chat', { message: 'How are falconers?' })
    const ofB = await adminB.post('/api/v1/chat', { message: 'How is falcon?' })

    expect(refused).toMatchObject({
      status: 422,
      body: { errors: [{ in: 'body', path: '/message', message: 'We do not speak of it.' }] },
    })
    expect([ofA.status, ofB.status]).toEqual([200, 200])
    expect(model.asked).toHaveLength(2)
  })

  test('flags a message, which is answered, and says which rules it broke but not their words', async (world) => {
    await enable(world, 'moderation', { words: ['Falcon'], patterns: ['x{3}'], action: 'flag' })
    world.model.says('Fine')

    const { body: reply } = await world.operatorA.post('/api/v1/chat', { message: 'Falcon xxx' })

    const [question] = await messagesOf(world, reply.conversation_id)
    expect(question.annotations).toEqual({ moderation: { matched: 2, rules: ['/words/0', '/patterns/0'] } })
  })

  test('replaces a reply that breaks a rule before anybody reads it', async (world) => {
    const { operatorA, model } = world
    await enable(world, 'moderation', { words: ['Falcon'], action: 'refuse', message: 'No.', check_replies: true })
    model.says(['It is called Fal', 'con.'])

    const response = await operatorA.post('/api/v1/chat', { message: 'What is it called?', stream: true })

    expect(response.body).toMatchObject([token('No.'), { event: 'done', data: { response: 'No.' } }])
    const messages = await messagesOf(world, response.body.at(-1).data.conversation_id)
    expect(JSON.stringify(messages)).not.toContain('Falcon')
  })
})

describe('pii_redaction', () => {
  const said = 'Write to ada@acme.example or call +49 30 901820, card 4111 1111 1111 1111.'

  test('keeps from the provider what stays in the conversation', async (world) => {
    const { operatorA, model } = world
    await enable(world, 'pii_redaction', {})
    model.says('I wrote to [EMAIL_1].').says('Yes.')

    const { body: reply } = await operatorA.post('/api/v1/chat', { message: said })
    await operatorA.post('/api/v1/chat', { message: 'Sure?', conversation_id: reply.conversation_id })

    const hidden = 'Write to [EMAIL_1] or call [PHONE_1], card [CARD_1].'
    expect(model.asked.map(({ request }) => request.messages)).toEqual([
      [{ role: 'user', content: hidden }],
      [
        { role: 'user', content: hidden },
        { role: 'assistant', content: 'I wrote to [EMAIL_1].' },
        { role: 'user', content: 'Sure?' },
      ],
    ])
    expect((await messagesOf(world, reply.conversation_id))[0].content).toBe(said)
    expect(reply.response).toBe('I wrote to [EMAIL_1].')
  })

  test('puts back what it hid, in a stream that cuts placeholders too', async (world) => {
    const { operatorA, model } = world
    await enable(world, 'pii_redaction', { restore: true })
    model.says(['I wrote to [EM', 'AIL_1', '].'])

    const response = await operatorA.post('/api/v1/chat', { message: said, stream: true })

    const pieces = response.body.filter(({ event }: { event: string }) => event === 'token')
    expect(pieces.map(({ data }: { data: { content: string } }) => data.content).join('')).toBe(
      'I wrote to ada@acme.example.',
    )
    expect(response.body.at(-1)).toMatchObject({ event: 'done', data: { response: 'I wrote to ada@acme.example.' } })
  })

  test('hides what tools are asked and what they answer, and gives tools the real thing', async (world) => {
    const { operatorA, model } = world
    await enable(world, 'pii_redaction', { restore: true, kinds: [], patterns: [{ name: 'sum', pattern: '7777' }] })
    await enable(world, 'calculator', {})
    model.calls(['calculator', { expression: '[SUM_1] * 1' }]).says('It is [SUM_1].')

    const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'What is 7777?' })

    expect(reply.response).toBe('It is 7777.')
    expect(model.asked[1]?.request.messages).toEqual([
      { role: 'user', content: 'What is [SUM_1]?' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'call_1', name: 'calculator', arguments: '{"expression":"[SUM_1] * 1"}' }],
      },
      { role: 'tool', content: '[SUM_1]', tool_call_id: 'call_1' },
    ])
    expect((await messagesOf(world, reply.conversation_id))[1]).toMatchObject({
      content: '7777',
      tool_call: { name: 'calculator', arguments: { expression: '7777 * 1' } },
    })
  })

  test('that cannot do its work stops the chat: what could not be hidden does not leave', async (world) => {
    const { operatorA, adminA, model } = world
    await enable(world, 'pii_redaction', { patterns: [{ name: 'slow', pattern: 'a(.*b)?' }] })
    const slow = 'a'.repeat(32_000)

    const refused = await operatorA.post('/api/v1/chat', { message: slow })

    await world.settle()
    const { body: plugin } = await adminA.get('/api/v1/plugins/pii_redaction')
    expect(refused).toMatchObject({ status: 503, body: { code: 'internal' } })
    expect(plugin.last_failure).toMatchObject({ count: 1, message: expect.stringContaining('prepare') })
    expect(model.asked).toEqual([])
  })
})

describe('calculator', () => {
  test('reckons for the model', async (world) => {
    const { operatorA, model } = world
    await enable(world, 'calculator', {})
    model.calls(['calculator', { expression: '(0.1 + 0.2) * 1e3' }]).says('300.')

    const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'Reckon.' })

    expect(reply.response).toBe('300.')
    expect(await messagesOf(world, reply.conversation_id)).toMatchObject([
      { role: 'user' },
      { role: 'tool', content: '300', tool_call: { name: 'calculator' } },
      { role: 'assistant', content: '300.' },
    ])
  })
})

describe('All that tenants may switch on', () => {
  test('is off and described, with the schema of its config and without the config', async ({ viewerA }) => {
    const { body: plugins } = await viewerA.get('/api/v1/plugins')

    const builtIn = plugins.filter(({ name }: { name: string }) => !name.startsWith('test_'))
    expect(
      builtIn.map(({ name, enabled, configured }: Record<string, unknown>) => [name, enabled, configured]),
    ).toEqual([
      ['moderation', false, false],
      ['pii_redaction', false, true],
      ['calculator', false, true],
      ['webhook', false, false],
      ['slack_notifications', false, false],
      ['email_notifications', false, false],
      ['analytics_export', false, false],
    ])
    for (const plugin of builtIn) {
      expect(Object.keys(plugin).sort()).toEqual(
        ['name', 'version', 'description', 'enabled', 'configured', 'config_schema'].sort(),
      )
      expect(plugin.config_schema).toMatchObject({ type: 'object', additionalProperties: false })
    }
  })

  test('need those secrets that they cannot make themselves', async ({ viewerA }) => {
    const { body: webhook } = await viewerA.get('/api/v1/plugins/webhook')
    const { body: slack } = await viewerA.get('/api/v1/plugins/slack_notifications')

    expect(webhook.config_schema.required).toEqual(['url', 'events'])
    expect(slack.config_schema.required).toEqual(['webhook_url', 'events'])
  })
})
