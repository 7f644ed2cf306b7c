import type { ProviderLimits } from '../../src/providers/ask'
import {
  chunk,
  FakeProvider,
  hangs,
  streamsThenDrips,
  streamsThenHangs,
  streamsWithoutEnd,
  type Turn,
} from '../fake-provider'
import { describe, expect, test } from '../kit'
import { speaking } from '../speaking'
import { asking, storedMessages } from './asking'

describe('A chat with a server that is slow', () => {
  const hal = chunk({ content: 'Hal' })
  test.each<[string, Turn, Partial<ProviderLimits>, string]>([
    ['gives nothing', hangs, { firstByteMs: 50 }, ''],
    ['gives headers and nothing', streamsThenHangs(), { firstByteMs: 50 }, ''],
    ['gives bytes that never make an event', streamsWithoutEnd('d', { everyMs: 10 }), { firstByteMs: 50 }, ''],
    ['gives comments', streamsWithoutEnd(': hi\n\n', { everyMs: 10 }), { firstByteMs: 50 }, ''],
    ['falls silent', streamsThenHangs(hal), { idleMs: 50 }, 'Hal'],
    ['falls silent in the middle of an event', streamsThenHangs(hal, 'data: {"ch'), { idleMs: 50 }, 'Hal'],
    ['gives bytes after the last event', streamsThenDrips(hal, 'd'), { idleMs: 50 }, 'Hal'],
    ['falls silent, and takes too long altogether', streamsThenHangs(hal), { totalMs: 1000 }, 'Hal'],
  ])('ends a stream in an error where it %s, and lets go of it', async (_, turn, limits, text, { users }) => {
    await using fake = new FakeProvider()
    fake.does(turn)
    const impatient = speaking(users.operatorA, asking(fake.url, limits))

    const { body } = await impatient.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(body.at(-1)).toMatchObject({ event: 'error', data: { code: 'provider_timeout' } })
    await fake.asked[0]?.left
    expect(fake.asked).toHaveLength(1)
    expect((await storedMessages()).at(-1)).toEqual({ content: text, status: 'failed' })
    const again = await speaking(users.operatorA, asking(fake.url)).post('/api/v1/chat', { message: 'Hello' })
    expect(again).toMatchObject({ status: 200, body: { response: 'You asked: Hello' } })
  })

  test('ends a stream that drips when it has taken too long altogether', async ({ users }) => {
    await using fake = new FakeProvider()
    fake.does(streamsWithoutEnd(chunk({ content: 'x' }), { everyMs: 20 }))
    const operator = speaking(users.operatorA, asking(fake.url, { totalMs: 1000 }))

    const { body } = await operator.post('/api/v1/chat', { message: 'Hello', stream: true })

    expect(body.at(-1)).toMatchObject({ event: 'error', data: { code: 'provider_timeout' } })
    const pieces = body.slice(0, -1).map(({ data }: { data: { content: string } }) => data.content)
    expect((await storedMessages()).at(-1)).toEqual({ content: pieces.join(''), status: 'failed' })
    expect(new Set(pieces)).toEqual(new Set(['x']))
  })

  test.each<[string, Turn]>([
    ['gives nothing', hangs],
    ['drips JSON', streamsWithoutEnd(' ', { everyMs: 10 })],
  ])('answers 504 where it %s, and lets go of it', async (_, turn, { users }) => {
    await using fake = new FakeProvider()
    fake.does(turn)
    const impatient = speaking(users.operatorA, asking(fake.url, { totalMs: 50 }))

    const failed = await impatient.post('/api/v1/chat', { message: 'Hello' })

    expect(failed).toMatchObject({ status: 504, body: { code: 'provider_timeout' } })
    await fake.asked[0]?.left
    expect((await storedMessages()).at(-1)).toEqual({ content: '', status: 'failed' })
    const again = await speaking(users.operatorA, asking(fake.url)).post('/api/v1/chat', { message: 'Hello' })
    expect(again).toMatchObject({ status: 200, body: { response: 'You asked: Hello' } })
  })
})
