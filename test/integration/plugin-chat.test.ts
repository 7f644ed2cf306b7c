import { Type } from '@sinclair/typebox'
import type { ChatHooks, PluginContext } from '../../src/plugins/plugin'
import { shape } from '../../src/schema'
import { events } from '../../src/testing'
import { describe, expect, type Fixtures, test } from '../kit'
import { speaking } from '../speaking'
import { aPlugin, operatorWith, peopleWith } from '../with-plugins'

type Hooks = ChatHooks<Record<string, unknown>>
const open = { deadlineMs: 1000, onFailure: 'open' } as const
const token = (content: string) => ({ event: 'token', data: { content } })

const noSwearing: Hooks = {
  admit: { ...open, run: ({ content }) => (/darn/.test(content) ? { refuse: 'must be polite' } : undefined) },
}
/** Hides a name from the provider, and puts it back. */
const hideAda: Hooks = {
  prepare: {
    ...open,
    run: (messages) => ({
      messages: messages.map((message) => ({ ...message, content: message.content.replaceAll('Ada', 'N1') })),
      rewrite: { next: (piece) => piece.replaceAll('N1', 'Ada'), rest: () => '' },
    }),
  },
}
const shout: Hooks = {
  review: { ...open, mayChange: () => true, run: ({ text }) => ({ text: text.toUpperCase() }) },
}

const messagesOf = async ({ operatorA }: Fixtures, conversation_id: string) =>
  (await operatorA.get(`/api/v1/conversations/${conversation_id}/messages`)).body

describe('A plugin that admits messages', () => {
  test('refuses one before anything is stored or asked, and lets others pass', async (world) => {
    const operator = await operatorWith(world, aPlugin({ chat: noSwearing }))
    world.model.says('Hello')

    const refused = await operator.post('/api/v1/chat', { message: 'darn' })
    const admitted = await operator.post('/api/v1/chat', { message: 'dear' })

    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'invalid_request', errors: [{ in: 'body', path: '/message', message: 'must be polite' }] },
    })
    expect(admitted.status).toBe(200)
    expect(world.model.asked.map(({ request }) => request.messages)).toEqual([[{ role: 'user', content: 'dear' }]])
    expect((await world.operatorA.get('/api/v1/conversations')).body).toHaveLength(1)
  })

  test('refuses a streamed question with a status, not with an event', async (world) => {
    const operator = await operatorWith(world, aPlugin({ chat: noSwearing }))

    const refused = await operator.post('/api/v1/chat', { message: 'darn', stream: true })

    expect(refused).toMatchObject({ status: 422, headers: { 'content-type': 'application/problem+json' } })
  })

  test('is not asked again of what was answered before', async (world) => {
    const calls: string[] = []
    const once: Hooks = {
      admit: { ...open, run: ({ content }) => (calls.push(content) > 1 ? { refuse: 'was asked already' } : undefined) },
    }
    const operator = await operatorWith(world, aPlugin({ chat: once }))
    const withKey = { headers: { 'idempotency-key': 'key-1' } }
    world.model.says('Hello')
    const first = await operator.post('/api/v1/chat', { message: 'dear' }, withKey)

    const again = await operator.post('/api/v1/chat', { message: 'dear' }, withKey)

    expect(again).toMatchObject({ status: 200, headers: { 'idempotency-replayed': 'true' }, body: first.body })
    expect(calls).toEqual(['dear'])
    expect(await operator.post('/api/v1/chat', { message: 'dear' })).toMatchObject({ status: 422 })
  })

  test('says something of a message, which is stored beside it', async (world) => {
    const annotate = aPlugin({ chat: { admit: { ...open, run: () => ({ annotate: { mood: 'sunny' } }) } } })
    const operator = await operatorWith(world, annotate)
    world.model.says('Hello')

    const { body: reply } = await operator.post('/api/v1/chat', { message: 'Hello?' })

    const [question, answer] = await messagesOf(world, reply.conversation_id)
    expect(question.annotations).toEqual({ example: { mood: 'sunny' } })
    expect(answer).not.toHaveProperty('annotations')
  })

  test('does nothing for a tenant that did not switch it on', async (world) => {
    const plugin = aPlugin({ chat: noSwearing })
    await operatorWith(world, plugin)
    const adminB = speaking(world.users.adminB, { plugins: [plugin] })
    world.model.says('Hello')

    const response = await adminB.post('/api/v1/chat', { message: 'darn' })

    expect(response.status).toBe(200)
  })
})

describe('A plugin that prepares what the model reads', () => {
  test('changes question, history and system prompt, and the reply back', async (world) => {
    const operator = await operatorWith(world, aPlugin({ chat: hideAda }))
    const { body: conversation } = await operator.post('/api/v1/conversations', { system_prompt: 'Be kind to Ada.' })
    const ask = (message: string) => operator.post('/api/v1/chat', { message, conversation_id: conversation.id })
    world.model.says('Hello N1').says('You are N1')

    const first = await ask('I am Ada')
    const second = await ask('Who am I? Ada?')

    expect([first.body.response, second.body.response]).toEqual(['Hello Ada', 'You are Ada'])
    expect(world.model.asked[1]?.request.messages).toEqual([
      { role: 'system', content: 'Be kind to N1.' },
      { role: 'user', content: 'I am N1' },
      { role: 'assistant', content: 'Hello N1' },
      { role: 'user', content: 'Who am I? N1?' },
    ])
    expect(await messagesOf(world, conversation.id)).toMatchObject([
      { content: 'I am Ada' },
      { content: 'Hello Ada' },
      { content: 'Who am I? Ada?' },
      { content: 'You are Ada' },
    ])
  })

  test('changes a streamed reply piece by piece, while it comes', async (world) => {
    const operator = await operatorWith(world, aPlugin({ chat: hideAda }))
    world.model.does({ type: 'text', text: 'N1, ' }, { type: 'hang' }, { type: 'text', text: 'N1' }, { type: 'end' })
    const response = await operator.send('POST', '/api/v1/chat', { body: { message: 'Ada', stream: true } })
    const stream = events(response)

    const first = await stream.next()

    expect(first.value).toEqual(token('Ada, '))
    world.model.release()
    expect(await Array.fromAsync(stream)).toMatchObject([
      token('Ada'),
      { event: 'done', data: { response: 'Ada, Ada' } },
    ])
  })

  test('gives what it held back when the reply is over', async (world) => {
    let held = ''
    const hold = {
      next: (piece: string) => {
        held += piece
        return ''
      },
      rest: () => held,
    }
    const prepare: Hooks['prepare'] = { ...open, run: (messages) => ({ messages, rewrite: hold }) }
    const operator = await operatorWith(world, aPlugin({ chat: { prepare } }))
    world.model.says(['Good', ' morning'])

    const response = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(response.body).toMatchObject([token('Good morning'), { event: 'done', data: { response: 'Good morning' } }])
  })

  test('comes in the order of the registry, and its changes are undone backwards', async (world) => {
    const wrap = (name: string) =>
      aPlugin(
        {
          chat: {
            prepare: {
              ...open,
              run: ([message]) => ({
                messages: [{ role: 'user', content: `${name}(${message?.content})` }],
                rewrite: { next: (piece) => `${piece}<${name}`, rest: () => '' },
              }),
            },
          },
        },
        name,
      )
    const operator = await operatorWith(world, wrap('one'), wrap('two'))
    world.model.says('reply')

    const response = await operator.post('/api/v1/chat', { message: 'question' })

    expect(world.model.asked[0]?.request.messages).toEqual([{ role: 'user', content: 'two(one(question))' }])
    expect(response.body.response).toBe('reply<two<one')
  })
})

describe('A plugin that reviews replies', () => {
  test('changes what is answered and stored', async (world) => {
    const operator = await operatorWith(world, aPlugin({ chat: shout }))
    world.model.says('hello')

    const { body: reply } = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(reply.response).toBe('HELLO')
    expect(await messagesOf(world, reply.conversation_id)).toMatchObject([{ content: 'Hello?' }, { content: 'HELLO' }])
  })

  test('holds a stream back until it has spoken, where it may change the text', async (world) => {
    const operator = await operatorWith(world, aPlugin({ chat: shout }))
    world.model.says(['hel', 'lo'])

    const response = await operator.post('/api/v1/chat', { message: 'Hello?', stream: true })

    expect(response.body).toMatchObject([token('HELLO'), { event: 'done', data: { response: 'HELLO' } }])
  })

  test('changes nothing where it did not say that it may, and annotates', async (world) => {
    const review: Hooks['review'] = {
      ...open,
      mayChange: () => false,
      run: ({ text }) => ({ text: 'changed', annotate: { letters: text.length } }),
    }
    const operator = await operatorWith(world, aPlugin({ chat: { review } }))
    world.model.says(['hel', 'lo'])

    const response = await operator.post('/api/v1/chat', { message: 'Hello?', stream: true })

    const done = { event: 'done', data: expect.objectContaining({ response: 'hello' }) }
    expect(response.body).toEqual([token('hel'), token('lo'), done])
    const [, answer] = await messagesOf(world, response.body.at(-1).data.conversation_id)
    expect(answer.annotations).toEqual({ example: { letters: 5 } })
  })

  test.each([
    ['open', { status: 200, body: { response: 'hello' } }],
    ['closed', { status: 503, body: { code: 'internal' } }],
  ] as const)('and cannot say whether it may change one fails %s', async (onFailure, expected, world) => {
    const mayChange = () => {
      throw new Error('canary')
    }
    const review = { deadlineMs: 1000, onFailure, mayChange, run: () => ({ text: 'changed' }) }
    const { adminA } = peopleWith(world, [aPlugin({ chat: { review } })])
    await adminA.post('/api/v1/plugins/example/enable')
    world.model.says('hello')

    const response = await adminA.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject(expected)
    await world.settle()
    const { body: state } = await adminA.get('/api/v1/plugins/example')
    expect(state.last_failure).toMatchObject({ message: 'review: Error: canary', count: 1 })
    world.model.forget()
  })

  test('is not asked about a reply that failed, and nobody reads what it was to review', async (world) => {
    const operator = await operatorWith(world, aPlugin({ chat: shout }))
    world.model.does({ type: 'text', text: 'hel' })

    const response = await operator.post('/api/v1/chat', { message: 'Hello?', stream: true })

    expect(response.body).toMatchObject([{ event: 'error', data: { code: 'provider_unavailable' } }])
    const [conversation] = (await world.operatorA.get('/api/v1/conversations')).body
    expect(await messagesOf(world, conversation.id)).toMatchObject([{}, { content: '', status: 'failed' }])
  })
})

/** All that a hook can do wrong. */
const wrongs: [string, () => never][] = [
  [
    'throws',
    () => {
      throw new Error('canary: what the plugin said')
    },
  ],
  ['rejects', () => Promise.reject(new Error('canary')) as never],
  ['hangs', () => new Promise(() => {}) as never],
  ['answers with a number', () => 42 as never],
  ['answers with an empty object', () => ({ messages: [], refuse: '', text: '' }) as never],
  ['answers with a list', () => [] as never],
  ['annotates with too much', () => ({ messages: [], annotate: { x: 'x'.repeat(4096) } }) as never],
  ['annotates with what cannot be stored', () => ({ messages: [], annotate: { x: '\0' } }) as never],
  [
    'answers with values of other kinds',
    () => ({ messages: [{ role: 'nobody', content: 42 }], refuse: 42, text: 42 }) as never,
  ],
]

describe.each(['admit', 'prepare', 'review'] as const)('A plugin that in `%s`', (hook) => {
  const failing = (onFailure: 'open' | 'closed', run: () => never) =>
    aPlugin({ chat: { [hook]: { deadlineMs: 5, onFailure, mayChange: () => false, run } } })

  test.each(wrongs)('%s harms nothing where it fails open', async (_, run, world) => {
    const operator = await operatorWith(world, failing('open', run), aPlugin({ chat: shout }, 'other'))
    world.model.says('hello')

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({ status: 200, body: { response: 'HELLO' } })
  })

  test.each(wrongs)('%s stops the chat where it fails closed, with its name and no more', async (_, run, world) => {
    const operator = await operatorWith(world, failing('closed', run))
    world.model.says('hello')

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      body: { code: 'internal', detail: expect.stringContaining('The plugin example') },
    })
    expect(JSON.stringify(response)).not.toContain('canary')
    world.model.forget()
  })
})

describe('A plugin whose rewriting', () => {
  const rewriting = (onFailure: 'open' | 'closed', next: () => never) =>
    aPlugin({
      chat: {
        prepare: { deadlineMs: 1000, onFailure, run: (messages) => ({ messages, rewrite: { next, rest: () => 'x' } }) },
      },
    })
  const boom = (): never => {
    throw new Error('canary')
  }

  test.each([
    ['throws', boom],
    ['gives no text', () => 42 as never],
  ])('%s lets the reply pass as it is, where it fails open', async (_, next, world) => {
    const operator = await operatorWith(world, rewriting('open', next))
    world.model.says(['hel', 'lo'])

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({ status: 200, body: { response: 'hello' } })
  })

  test('throws ends the reply, where it fails closed', async (world) => {
    const operator = await operatorWith(world, rewriting('closed', boom))
    world.model.says(['hel', 'lo'])

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject({ status: 503, body: { code: 'internal' } })
  })
})

describe('A plugin whose stored config no longer fits', () => {
  const before = aPlugin({ config: shape({ old: Type.Optional(Type.String()) }) })
  const after = (onFailure: 'open' | 'closed') =>
    aPlugin({
      config: shape({ word: Type.String() }),
      chat: { prepare: { deadlineMs: 1000, onFailure, run: (messages) => ({ messages }) } },
    })

  test.each([
    ['open', { status: 200, body: { response: 'hello' } }],
    ['closed', { status: 503, body: { code: 'internal', detail: expect.stringContaining('The plugin example') } }],
  ] as const)('fails as it declared: %s', async (onFailure, expected, world) => {
    await operatorWith(world, before)
    const { operatorA } = peopleWith(world, [after(onFailure)])
    world.model.says('hello')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello?' })

    expect(response).toMatchObject(expected)
    world.model.forget()
  })
})

describe('What a plugin is given', () => {
  test('is its own: one that changes it and then fails has changed nothing', async (world) => {
    const spoil: Hooks = {
      prepare: {
        ...open,
        run(messages) {
          for (const message of messages) Object.assign(message, { content: 'spoilt' })
          throw new Error('too late')
        },
      },
    }
    const operator = await operatorWith(world, aPlugin({ chat: spoil }))
    world.model.says('Hello')

    const response = await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(response.status).toBe(200)
    expect(world.model.asked.map(({ request }) => request.messages)).toEqual([[{ role: 'user', content: 'Hello?' }]])
  })

  test("is the tenant's config, which it cannot change", async (world) => {
    const config = shape({ words: Type.Array(Type.String()) })
    const keep: Hooks = {
      admit: { ...open, run: (_, { config }) => ({ annotate: { words: (config.words as string[]).push('more') } }) },
    }
    const { adminA } = peopleWith(world, [aPlugin({ config, chat: keep })])
    await adminA.post('/api/v1/plugins/example/enable', { config: { words: ['one'] } })
    world.model.says('Hello')

    await adminA.post('/api/v1/chat', { message: 'Hello?' })

    await world.settle()
    const { body: state } = await adminA.get('/api/v1/plugins/example')
    expect(state.last_failure.message).toStartWith('admit: TypeError')
  })

  test('says when nobody waits any longer, which is no failure of the plugin', async (world) => {
    const begun = Promise.withResolvers<AbortSignal>()
    const hang: Hooks = {
      admit: {
        deadlineMs: 60_000,
        onFailure: 'open',
        run(_, { signal }) {
          begun.resolve(signal)
          return new Promise(() => {})
        },
      },
    }
    const { adminA, operatorA } = peopleWith(world, [aPlugin({ chat: hang })])
    await adminA.post('/api/v1/plugins/example/enable')
    const caller = new AbortController()

    const chat = operatorA.post('/api/v1/chat', { message: 'Hello?' }, { signal: caller.signal })
    const signal = await begun.promise
    caller.abort()
    const response = await chat

    expect([signal.aborted, response.body.code]).toEqual([true, 'provider_unavailable'])
    expect((await adminA.get('/api/v1/plugins/example')).body).not.toHaveProperty('last_failure')
  })

  test('says when its time is over, which is one', async (world) => {
    const given: AbortSignal[] = []
    const hang: Hooks = {
      admit: {
        deadlineMs: 5,
        onFailure: 'open',
        run(_, { signal }) {
          given.push(signal)
          return new Promise(() => {})
        },
      },
    }
    const { adminA, operatorA } = peopleWith(world, [aPlugin({ chat: hang })])
    await adminA.post('/api/v1/plugins/example/enable')
    world.model.says('Hello')

    const response = await operatorA.post('/api/v1/chat', { message: 'Hello?' })
    await world.settle()

    const late = 'The plugin did not answer within 5 ms.'
    expect(response.status).toBe(200)
    expect(given.map(({ aborted, reason }) => [aborted, reason?.message])).toEqual([[true, late]])
    expect((await adminA.get('/api/v1/plugins/example')).body.last_failure.message).toContain(late)
  })

  test('is its tenant, its config, the clock and a signal', async (world) => {
    const seen: PluginContext<Record<string, unknown>>[] = []
    const look: Hooks = { admit: { ...open, run: (_, context) => void seen.push(context) } }
    const operator = await operatorWith(world, aPlugin({ chat: look }))
    world.model.says('Hello')

    await operator.post('/api/v1/chat', { message: 'Hello?' })

    expect(seen).toHaveLength(1)
    expect(seen[0]?.tenant_id).toBe(world.tenantA.id)
    expect(seen[0]?.config).toEqual({})
    expect(seen[0]?.clock.now()).toEqual(world.clock.now())
    expect(seen[0]?.signal.aborted).toBe(false)
  })
})
