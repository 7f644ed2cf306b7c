import { Type } from '@sinclair/typebox'
import { tool } from '../../src/plugins/plugin'
import { shape } from '../../src/schema'
import { chunk, completion, FakeProvider, says, streams, type Turn } from '../fake-provider'
import { describe, expect, type Fixtures, test } from '../kit'
import { aPlugin, peopleWith, switchOn } from '../with-plugins'
import { asking, json } from './asking'

const echo = tool({
  name: 'echo',
  description: 'Says it again.',
  parameters: shape({ word: Type.String() }),
  deadlineMs: 1000,
  run: ({ word }) => word,
})

async function operatorAt(world: Fixtures, url: string) {
  const plugin = aPlugin({ tools: [echo] })
  const { adminA, operatorA } = peopleWith(world, [plugin], asking(url))
  await switchOn(adminA, plugin)
  return operatorA
}

const call = (args: string, id?: string) => ({ id, type: 'function', function: { name: 'echo', arguments: args } })
const fragment = (index: number, rest: object) => chunk({ tool_calls: [{ index, ...rest }] })
const asks = chunk({}, { finish_reason: 'tool_calls' })

const whole = (...tool_calls: object[]): Turn => {
  const answer = completion('')
  return json({
    ...answer,
    choices: [{ index: 0, message: { role: 'assistant', content: null, tool_calls }, finish_reason: 'tool_calls' }],
  })
}

/** What is asked for, and what the second question then holds of it. */
const askings: [string, boolean, Turn, { id: string; result: string }[]][] = [
  ['whole', false, whole(call('{"word":"hi"}', 'c1')), [{ id: 'c1', result: 'hi' }]],
  [
    'whole, two of them, without ids',
    false,
    whole(call('{"word":"one"}'), call('{"word":"two"}')),
    [
      { id: 'call_0', result: 'one' },
      { id: 'call_1', result: 'two' },
    ],
  ],
  [
    'in fragments',
    true,
    streams(
      fragment(0, { id: 'c1', type: 'function', function: { name: 'echo', arguments: '' } }),
      fragment(0, { function: { arguments: '{"word"' } }),
      fragment(0, { function: { arguments: ':"hi"}' } }),
      asks,
    ),
    [{ id: 'c1', result: 'hi' }],
  ],
  [
    'in fragments of two that mix',
    true,
    streams(
      fragment(0, { id: 'c1', function: { name: 'echo', arguments: '{"word":' } }),
      fragment(1, { id: 'c2', function: { name: 'echo', arguments: '{"word":' } }),
      fragment(1, { function: { arguments: '"two"}' } }),
      fragment(0, { function: { arguments: '"one"}' } }),
      asks,
    ),
    [
      { id: 'c1', result: 'one' },
      { id: 'c2', result: 'two' },
    ],
  ],
]

describe('A server that calls tools', () => {
  test.each(askings)('%s is given their results', async (_, stream, turn, wanted, world) => {
    await using fake = new FakeProvider()
    fake.does(turn, says('Said.'))
    const operator = await operatorAt(world, fake.url)

    const response = await operator.post('/api/v1/chat', { message: 'Hello', stream })

    const reply = stream ? response.body.at(-1).data : response.body
    expect(reply).toMatchObject({ response: 'Said.' })
    expect(fake.asked[0]?.body.tools).toEqual([
      {
        type: 'function',
        function: {
          name: 'echo',
          description: 'Says it again.',
          parameters: {
            type: 'object',
            additionalProperties: false,
            required: ['word'],
            properties: { word: { type: 'string' } },
          },
        },
      },
    ])
    expect(fake.asked[1]?.body.messages).toEqual([
      { role: 'user', content: 'Hello' },
      {
        role: 'assistant',
        content: '',
        tool_calls: wanted.map(({ id, result }) => ({
          id,
          type: 'function',
          function: { name: 'echo', arguments: JSON.stringify({ word: result }) },
        })),
      },
      ...wanted.map(({ id, result }) => ({ role: 'tool', content: result, tool_call_id: id })),
    ])
  })

  test.each<[string, Turn]>([
    ['text', json({ ...completion('Fine'), choices: [{ message: { content: 'Fine', tool_calls: 'all' } }] })],
    ['nothing', json({ ...completion('Fine'), choices: [{ message: { content: 'Fine', tool_calls: null } }] })],
  ])('with %s in place of calls is taken at its words', async (_, turn, world) => {
    await using fake = new FakeProvider()
    fake.does(turn)
    const operator = await operatorAt(world, fake.url)

    const response = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(response).toMatchObject({ status: 200, body: { response: 'Fine' } })
  })

  test('with a call that makes no sense reads so, and may answer', async (world) => {
    await using fake = new FakeProvider()
    fake.does(whole({ id: 7, function: null }), says('Sorry.'))
    const operator = await operatorAt(world, fake.url)

    const response = await operator.post('/api/v1/chat', { message: 'Hello' })

    expect(response).toMatchObject({ status: 200, body: { response: 'Sorry.' } })
    expect(fake.asked[1]?.body.messages.at(-1)).toMatchObject({
      role: 'tool',
      content: 'Error: there is no such tool.',
    })
  })

  test('and is cut in the middle of a call fails the reply', async (world) => {
    await using fake = new FakeProvider()
    fake.does(streams(fragment(0, { id: 'c1', function: { name: 'echo', arguments: '{"wo' } })))
    const operator = await operatorAt(world, fake.url)

    const response = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(response.body).toMatchObject([{ event: 'error', data: { code: 'provider_unavailable' } }])
    expect(fake.asked).toHaveLength(1)
  })
})
