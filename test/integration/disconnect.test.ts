import { describe, expect, test } from 'bun:test'
import { getEventListeners } from 'node:events'
import { messages, usage_records } from '../../src/database/tables'
import { openaiProvider } from '../../src/providers/openai'
import { events } from '../../src/testing'
import { chunk, FakeProvider, fails, hangs, says, streamsThenHangs, type Turn } from '../fake-provider'
import { deps as kitDeps } from '../kit'
import { seeingAll } from '../own-database'
import { type OwnService, ownService } from '../own-service'

const patient = { totalMs: 60_000, firstByteMs: 60_000, idleMs: 60_000, retryMs: 1, longestReply: 100_000 }

/** The service on a real socket, in front of a server that does these things in turn. */
async function inFrontOf(fake: FakeProvider) {
  const provider = openaiProvider({ baseUrl: fake.url, apiKey: 'sk-test' })
  const service = await ownService(provider, { limits: { ...kitDeps.limits, provider: patient } })
  const url = service.listen()
  const chat = (question: object, signal: AbortSignal | null = null) =>
    fetch(`${url}/api/v1/chat`, {
      method: 'POST',
      headers: service.headers,
      body: JSON.stringify({ message: 'Hello', ...question }),
      signal,
    })
  return { ...service, chat }
}

const stored = ({ deps }: OwnService) =>
  seeingAll(() =>
    deps.database
      .select({ role: messages.role, content: messages.content, status: messages.status })
      .from(messages)
      .orderBy(messages.position),
  )
const recorded = ({ deps }: OwnService) => seeingAll(() => deps.database.select().from(usage_records))
const hello = { role: 'user', content: 'Hello', status: 'complete' } as const

describe('A caller that leaves', () => {
  test.each<[string, Turn, boolean]>([
    ['a reply in one piece', hangs, false],
    ['a stream', hangs, true],
    ['a stream that has begun without words', streamsThenHangs(chunk({ role: 'assistant', content: '' })), true],
  ])('before the first word of %s stops the model', async (_, turn, stream) => {
    await using fake = new FakeProvider()
    fake.does(turn)
    await using service = await inFrontOf(fake)
    const caller = new AbortController()
    const asked = fake.nextAsked()
    const answer = service.chat({ stream }, caller.signal).then((response) => response.text())
    await asked

    caller.abort()

    expect(await answer.catch((error: Error) => error.name)).toBe('AbortError')
    await fake.asked[0]?.left
    await service.settle()
    expect(await stored(service)).toEqual([hello, { role: 'assistant', content: '', status: 'interrupted' }])
    expect(await recorded(service)).toEqual([])
    expect({ open: fake.open, errors: service.errors }).toEqual({ open: 0, errors: [] })
  })

  test('in the middle of a stream stops the model, and what came is kept and counted', async () => {
    await using fake = new FakeProvider()
    fake.does(streamsThenHangs(chunk({ content: 'Half' }), chunk({ content: ' of it' })))
    await using service = await inFrontOf(fake)
    const caller = new AbortController()
    const stream = events(await service.chat({ stream: true }, caller.signal))
    const came = [await stream.next(), await stream.next()]

    caller.abort()

    expect(came.map(({ value }) => value?.data)).toEqual([{ content: 'Half' }, { content: ' of it' }])
    await fake.asked[0]?.left
    await service.settle()
    expect(await stored(service)).toEqual([hello, { role: 'assistant', content: 'Half of it', status: 'interrupted' }])
    expect(await recorded(service)).toMatchObject([{ completion_tokens: 3, is_estimated: true }])
    expect({ open: fake.open, errors: service.errors }).toEqual({ open: 0, errors: [] })
  })

  test('after the last word has its whole reply', async () => {
    await using fake = new FakeProvider()
    fake.does(says(['Who', 'le']))
    await using service = await inFrontOf(fake)
    const caller = new AbortController()
    const response = await service.chat({ stream: true }, caller.signal)
    const text = await response.text()

    caller.abort()

    expect(text).toContain('event: done')
    await service.settle()
    expect(await stored(service)).toEqual([hello, { role: 'assistant', content: 'Whole', status: 'complete' }])
    expect({ open: fake.open, errors: service.errors }).toEqual({ open: 0, errors: [] })
  })

  test('while a busy model is waited for does not have it asked again', async () => {
    await using fake = new FakeProvider()
    fake.does(fails(429, { headers: { 'retry-after': '10' } }))
    await using service = await inFrontOf(fake)
    const caller = new AbortController()
    const asked = fake.nextAsked()
    const answer = service.chat({}, caller.signal)
    await asked

    caller.abort()

    expect(await answer.catch((error: Error) => error.name)).toBe('AbortError')
    await service.settle()
    expect(fake.asked).toHaveLength(1)
    expect(await stored(service)).toEqual([hello, { role: 'assistant', content: '', status: 'interrupted' }])
  })

  test('leaves nothing behind, a thousand times', async () => {
    await using fake = new FakeProvider()
    await using service = await inFrontOf(fake)
    const cycle = async (at: number) => {
      const caller = new AbortController()
      fake.does(streamsThenHangs(chunk({ content: 'Half' })))
      const answer = service.chat({ stream: at % 2 === 0 }, caller.signal)
      // A third leaves at once, a third when the model is asked, a third when there is something to read.
      if (at % 3 === 1) await fake.nextAsked()
      if (at % 6 === 2) await events(await answer).next()
      caller.abort()
      await answer.catch(() => {})
    }
    const left = Array.from({ length: 1000 }, (_, at) => at)
    const work = async () => {
      for (let at = left.pop(); at !== undefined; at = left.pop()) await cycle(at)
    }

    await Promise.all(Array.from({ length: 20 }, work))

    await service.settle()
    await Promise.all(fake.asked.map((asked) => asked.left))
    expect({
      open: fake.open,
      listeners: getEventListeners(service.deps.lifetime.cutoff, 'abort'),
      errors: service.errors,
    }).toEqual({ open: 0, listeners: [], errors: [] })
    const replies = (await stored(service)).filter(({ role }) => role === 'assistant')
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set(['interrupted']))
    fake.forget().does(says('Fine'))
    expect(await (await service.chat({})).json()).toMatchObject({ response: 'Fine' })
  }, 60_000)
})
