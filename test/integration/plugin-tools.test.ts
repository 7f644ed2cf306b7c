import { Type } from '@sinclair/typebox'
import { mostCallsAtOnce, mostToolRounds } from '../../src/chat/answer'
import { usage_records } from '../../src/database/tables'
import { type Tool, tool } from '../../src/plugins/plugin'
import { shape } from '../../src/schema'
import { database, describe, expect, type Fixtures, test } from '../kit'
import { speaking } from '../speaking'
import { aPlugin, operatorWith } from '../with-plugins'

const Sum = shape({ numbers: Type.Array(Type.Number(), { maxItems: 10 }) })
const add: Tool<Record<string, unknown>> = tool({
  name: 'add',
  description: 'Adds numbers.',
  parameters: Sum,
  deadlineMs: 1000,
  run: ({ numbers }) => String(numbers.reduce((sum, number) => sum + number, 0)),
})
/** Another way to do it, for tests of what a tool can do wrong. */
const adding = (run: Tool<Record<string, unknown>>['run'], deadlineMs = 1000) => ({ ...add, run, deadlineMs })

const messagesOf = async ({ operatorA }: Fixtures, conversation_id: string) =>
  (await operatorA.get(`/api/v1/conversations/${conversation_id}/messages`)).body

describe('A tool', () => {
  test('is offered to the model with the schema of its parameters', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    world.model.says('Hello')

    await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(world.model.asked[0]?.request.tools).toEqual([
      {
        name: 'add',
        description: 'Adds numbers.',
        parameters: {
          type: 'object',
          additionalProperties: false,
          required: ['numbers'],
          properties: { numbers: { type: 'array', maxItems: 10, items: { type: 'number' } } },
        },
      },
    ])
  })

  test('is not offered to a tenant that did not switch it on', async (world) => {
    const plugin = aPlugin({ tools: [add] })
    await operatorWith(world, plugin)
    const adminB = speaking(world.users.adminB, { plugins: [plugin] })
    world.model.says('Hello')

    await adminB.post('/api/v1/chat', { message: 'Hello?' })

    expect(world.model.asked[0]?.request).not.toHaveProperty('tools')
  })

  test('is run when the model calls it, and the model reads the result', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    world.model.calls(['add', { numbers: [1, 2] }]).says('It is 3.')

    const response = await operator.post('/api/v1/chat', { message: 'What is 1 + 2?' })

    expect(response).toMatchObject({ status: 200, body: { response: 'It is 3.' } })
    expect(world.model.asked[1]?.request.messages).toEqual([
      { role: 'user', content: 'What is 1 + 2?' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'call_1', name: 'add', arguments: '{"numbers":[1,2]}' }],
      },
      { role: 'tool', content: '3', tool_call_id: 'call_1' },
    ])
  })

  test('is given no text that cannot be stored', async (world) => {
    const seen: string[] = []
    const repeat: Tool<Record<string, unknown>> = tool({
      name: 'repeat',
      description: 'Says it again.',
      parameters: shape({ text: Type.String() }),
      deadlineMs: 1000,
      run({ text }) {
        seen.push(text)
        return text
      },
    })
    const operator = await operatorWith(world, aPlugin({ tools: [repeat] }))
    world.model.calls(['repeat', { text: 'a\0b\ud800' }]).says('Said.')

    const { body: reply } = await operator.post('/api/v1/chat', { message: 'Say it.' })

    expect(seen).toEqual(['a\ufffdb\ufffd'])
    expect((await messagesOf(world, reply.conversation_id))[1]).toMatchObject({
      content: 'a\ufffdb\ufffd',
      tool_call: { name: 'repeat', arguments: { text: 'a\ufffdb\ufffd' } },
    })
  })

  test('leaves its result among the messages, before the reply', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    world.model.calls(['add', { numbers: [1, 2] }], ['add', { numbers: [3] }]).says('3 and 3.')

    const { body: reply } = await operator.post('/api/v1/chat', { message: 'Sums?' })

    expect(await messagesOf(world, reply.conversation_id)).toMatchObject([
      { role: 'user', content: 'Sums?' },
      { role: 'tool', content: '3', status: 'complete', tool_call: { name: 'add', arguments: { numbers: [1, 2] } } },
      { role: 'tool', content: '3', status: 'complete', tool_call: { name: 'add', arguments: { numbers: [3] } } },
      { role: 'assistant', content: '3 and 3.', id: reply.message_id },
    ])
  })

  test('is left out of the history of the next question', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    world.model
      .calls(['add', { numbers: [1, 2] }])
      .says('It is 3.')
      .says('Yes.')
    const { body: reply } = await operator.post('/api/v1/chat', { message: '1 + 2?' })

    await operator.post('/api/v1/chat', { message: 'Sure?', conversation_id: reply.conversation_id })

    expect(world.model.asked[2]?.request.messages).toEqual([
      { role: 'user', content: '1 + 2?' },
      { role: 'assistant', content: 'It is 3.' },
      { role: 'user', content: 'Sure?' },
    ])
  })

  test('costs what all rounds together cost', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    world.model.does(
      { type: 'call', call: { id: 'a', name: 'add', arguments: '{"numbers":[1]}' } },
      { type: 'usage', usage: { prompt_tokens: 10, completion_tokens: 4 } },
      { type: 'end' },
    )
    world.model.says('1', { prompt_tokens: 20, completion_tokens: 1 })

    const response = await operator.post('/api/v1/chat', { message: '1?' })

    expect(response.body.usage).toEqual({ prompt_tokens: 30, completion_tokens: 5, total_tokens: 35 })
    expect(await database.select().from(usage_records)).toMatchObject([
      { prompt_tokens: 30, completion_tokens: 5, is_estimated: false },
    ])
  })

  test('is run for a streamed reply, whose text goes on after it', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    world.model.does(
      { type: 'text', text: 'Let me see. ' },
      { type: 'call', call: { id: 'a', name: 'add', arguments: '{"numbers":[1]}' } },
      { type: 'end' },
    )
    world.model.says(['It is', ' 1.'])

    const response = await operator.post('/api/v1/chat', { message: '1?', stream: true })

    expect(response.body).toMatchObject([
      { event: 'token', data: { content: 'Let me see. ' } },
      { event: 'token', data: { content: 'It is' } },
      { event: 'token', data: { content: ' 1.' } },
      { event: 'done', data: { response: 'Let me see. It is 1.' } },
    ])
  })
})

describe('What the model does wrong with a tool', () => {
  const result = async (world: Fixtures, name: string, args: unknown) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    world.model.calls([name, args]).says('Well.')
    const { status } = await operator.post('/api/v1/chat', { message: 'Hello?' })
    return { status, read: world.model.asked[1]?.request.messages.at(-1)?.content }
  }

  test.each<[string, string, unknown, string]>([
    ['a tool that there is not', 'remove', {}, 'Error: there is no such tool.'],
    ['arguments that are no JSON', 'add', '{"numbers":', 'Error: the arguments are no JSON object.'],
    ['arguments that are no object', 'add', [1], 'Error: the arguments are no JSON object.'],
    ['no arguments', 'add', '', 'Error: /numbers: Expected required property'],
    ['arguments of the wrong kind', 'add', { numbers: ['1'] }, 'Error: /numbers/0: Expected number'],
    ['arguments that there are not', 'add', { numbers: [], tenant_id: 'x' }, 'Error: /tenant_id: Unexpected property'],
    ['a prototype', 'add', '{"numbers":[],"__proto__":{"x":1}}', 'Error: /__proto__: Unexpected property'],
  ])('%s is told to it, and it may answer', async (_, name, args, wanted, world) => {
    const { status, read } = await result(world, name, args)

    expect({ status, read }).toEqual({ status: 200, read: wanted })
  })

  test('calling without end is ended: it is asked without tools and has to answer', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    for (let round = 0; round < mostToolRounds; round++) world.model.calls(['add', { numbers: [round] }])
    world.model.says('Enough.')

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({ status: 200, body: { response: 'Enough.' } })
    expect(world.model.asked.map(({ request }) => request.tools?.length ?? 0)).toEqual([1, 1, 1, 1, 1, 0])
  })

  test('calling even then fails the reply', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    for (let round = 0; round <= mostToolRounds; round++) world.model.calls(['add', { numbers: [round] }])

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
  })

  test('calling too many at once runs the first of them', async (world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [add] }))
    const many = Array.from({ length: mostCallsAtOnce + 1 }, (_, at): [string, unknown] => ['add', { numbers: [at] }])
    world.model.calls(...many).says('Well.')

    await operator.post('/api/v1/chat', { message: 'Hello?' })

    const results = world.model.asked[1]?.request.messages.slice(2).map(({ content }) => content)
    expect(results).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', 'Error: too many calls at once.'])
  })
})

describe('What a tool does wrong', () => {
  test('to its arguments changes nothing of the call that is stored', async (world) => {
    const spoil = adding((args) => {
      Object.assign(args, { numbers: 5n, more: args })
      return 'done'
    })
    const operator = await operatorWith(world, aPlugin({ tools: [spoil] }))
    world.model.calls(['add', { numbers: [1] }]).says('Well.')

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response.status).toBe(200)
    expect(await messagesOf(world, response.body.conversation_id)).toMatchObject([
      {},
      { role: 'tool', content: 'done', tool_call: { name: 'add', arguments: { numbers: [1] } } },
      {},
    ])
  })

  const boom = () => {
    throw new Error('canary')
  }

  test.each<[string, Tool<Record<string, unknown>>, string]>([
    ['throwing', adding(boom), 'Error: the tool failed.'],
    ['rejecting', adding(async () => boom()), 'Error: the tool failed.'],
    ['hanging', adding(() => new Promise(() => {}), 5), 'Error: the tool failed.'],
    ['giving a number', adding(() => 42 as never), 'Error: the tool failed.'],
    ['giving what cannot be stored', adding(() => 'a\0b\ud800'), 'a\ufffdb\ufffd'],
    ['giving too much', adding(() => 'x'.repeat(40_000)), `${'x'.repeat(32_000)} (cut)`],
  ])('%s is told to the model without details', async (_, wrong, wanted, world) => {
    const operator = await operatorWith(world, aPlugin({ tools: [wrong] }))
    world.model.calls(['add', { numbers: [1] }]).says('Well.')

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({ status: 200, body: { response: 'Well.' } })
    expect(world.model.asked[1]?.request.messages.at(-1)?.content).toBe(wanted)
  })
})

describe('A plugin that hides words from the model', () => {
  const hide = aPlugin(
    {
      chat: {
        prepare: {
          deadlineMs: 1000,
          onFailure: 'open',
          run: (messages) => ({
            messages: JSON.parse(JSON.stringify(messages).replaceAll('Ada', 'N1')),
            rewrite: { next: (piece) => piece.replaceAll('N1', 'Ada'), rest: () => '' },
          }),
        },
      },
    },
    'hide',
  )
  const greet = tool({
    name: 'greet',
    description: 'Greets.',
    parameters: shape({ name: Type.String() }),
    deadlineMs: 1000,
    run: ({ name }) => `Hello ${name}`,
  })

  test('hides them in the results of tools too, which themselves get the real ones', async (world) => {
    const operator = await operatorWith(world, hide, aPlugin({ tools: [greet] }))
    world.model.calls(['greet', { name: 'N1' }]).says('Done, N1.')

    const { body: reply } = await operator.post('/api/v1/chat', { message: 'Greet Ada' })

    expect(reply.response).toBe('Done, Ada.')
    expect(world.model.asked[1]?.request.messages).toMatchObject([
      { role: 'user', content: 'Greet N1' },
      { role: 'assistant', tool_calls: [{ arguments: '{"name":"N1"}' }] },
      { role: 'tool', content: 'Hello N1' },
    ])
    expect((await messagesOf(world, reply.conversation_id))[1]).toMatchObject({
      content: 'Hello Ada',
      tool_call: { name: 'greet', arguments: { name: 'Ada' } },
    })
  })
})
