import { describe, expect, test } from 'bun:test'
import { AppError } from '../../src/errors'
import { ask, type ProviderLimits } from '../../src/providers/ask'
import { type Chunk, type Provider, ProviderFailure } from '../../src/providers/provider'

const limits: ProviderLimits = { totalMs: 5000, firstByteMs: 5000, idleMs: 5000, retryMs: 1, longestReply: 1000 }
const request = { model: 'm', messages: [{ role: 'user', content: 'Hello' }] } as const
const text = (content: string): Chunk => ({ type: 'text', text: content })
const end: Chunk = { type: 'end' }
const never = new Promise<never>(() => {})

type Attempt = (signal: AbortSignal) => AsyncIterable<Chunk>

/** A provider with one script for each attempt; `signals` are those it was given. */
function provider(...attempts: Attempt[]): Provider & { signals: AbortSignal[] } {
  const signals: AbortSignal[] = []
  return {
    signals,
    reply(_, { signal }) {
      signals.push(signal)
      const attempt = attempts[signals.length - 1]
      if (!attempt) throw new Error('asked more often than scripted')
      return attempt(signal)
    },
  }
}

const gives = (...chunks: Chunk[]): Attempt =>
  async function* () {
    yield* chunks
  }
const givesAndHangs = (...chunks: Chunk[]): Attempt =>
  async function* () {
    yield* chunks
    await never
  }
const busy = (retryAfterSeconds?: number): Attempt =>
  // biome-ignore lint/correctness/useYield: it fails before it has anything
  async function* () {
    throw new ProviderFailure('The provider answered with status 429.', 'busy', retryAfterSeconds)
  }

/** What came, and how it ended. */
async function outcome(
  asked: Provider,
  {
    stream = true,
    signal = new AbortController().signal,
    ...changes
  }: Partial<ProviderLimits> & { stream?: boolean; signal?: AbortSignal } = {},
): Promise<{ chunks: Chunk[]; error: unknown }> {
  const chunks: Chunk[] = []
  try {
    for await (const chunk of ask(asked, request, { stream, signal, limits: { ...limits, ...changes } }))
      chunks.push(chunk)
  } catch (error) {
    return { chunks, error }
  }
  return { chunks, error: undefined }
}

describe('Asking a provider', () => {
  test('passes on what comes, but for pieces without text', async () => {
    const asked = provider(gives(text(''), text('Hel'), text(''), text('lo'), end))

    const { chunks, error } = await outcome(asked)

    expect({ chunks, error }).toEqual({ chunks: [text('Hel'), text('lo'), end], error: undefined })
  })

  test.each([
    ['ends without its end', gives(text('Hal')), [text('Hal')]],
    ['has no text', gives(text(''), end), []],
    ['is too long', gives(text('x'.repeat(1000)), text('x'), end), [text('x'.repeat(1000))]],
  ])('takes no reply for whole that %s', async (_, attempt, came) => {
    const asked = provider(attempt)

    const { chunks, error } = await outcome(asked)

    expect(chunks).toEqual(came)
    expect(error).toMatchObject({ code: 'provider_unavailable', facts: { cause: { kind: 'failed' } } })
    expect(asked.signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  test.each([
    ['does not begin in time', givesAndHangs(), { firstByteMs: 5 }, []],
    ['falls silent', givesAndHangs(text('Hal')), { idleMs: 5 }, [text('Hal')]],
    ['takes too long altogether', givesAndHangs(text('Hal')), { totalMs: 20 }, [text('Hal')]],
    ['takes too long in one piece', givesAndHangs(), { totalMs: 5, stream: false }, []],
  ])('gives up on a reply that %s, and stops the provider', async (_, attempt, changes, came) => {
    const asked = provider(attempt)

    const { chunks, error } = await outcome(asked, changes)

    expect(chunks).toEqual(came)
    expect(error).toMatchObject({ code: 'provider_timeout' })
    expect(asked.signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  test('does not ask a reply in one piece for its first byte', async () => {
    const slow = provider(async function* () {
      await Bun.sleep(20)
      yield text('Hello')
      yield end
    })

    const { error } = await outcome(slow, { stream: false, firstByteMs: 1, idleMs: 1 })

    expect(error).toBeUndefined()
  })

  test('takes an empty piece for a sign that the provider has begun', async () => {
    const thinks = provider(async function* () {
      yield text('')
      await Bun.sleep(150)
      yield text('Hello')
      yield end
    })

    const { chunks, error } = await outcome(thinks, { firstByteMs: 100 })

    expect({ chunks, error }).toEqual({ chunks: [text('Hello'), end], error: undefined })
  })

  test('asks a busy provider once more', async () => {
    const asked = provider(busy(), gives(text('Hello'), end))

    const { chunks, error } = await outcome(asked)

    expect({ chunks, error }).toEqual({ chunks: [text('Hello'), end], error: undefined })
    expect(asked.signals).toHaveLength(2)
  })

  test.each([
    ['is busy twice', [busy(), busy()], {}, 2, 1],
    ['is busy twice and says until when', [busy(0), busy(2.5)], {}, 2, 3],
    ['says to come back in more than 10 seconds', [busy(11)], {}, 1, 11],
    ['says to come back next year', [busy(31_536_000)], {}, 1, 86_400],
    ['says to come back after the deadline', [busy(4)], { totalMs: 3000 }, 1, 4],
  ])('leaves it to the caller when a provider %s', async (_, attempts, changes, times, retryAfterSeconds) => {
    const asked = provider(...attempts)

    const { error } = await outcome(asked, changes)

    expect(asked.signals).toHaveLength(times)
    expect(error).toMatchObject({ code: 'provider_unavailable', facts: { retryAfterSeconds } })
  })

  test('does not ask again once it has passed something on', async () => {
    const asked = provider(async function* () {
      yield text('Hal')
      throw new ProviderFailure('The provider answered with status 503.', 'busy')
    })

    const { chunks, error } = await outcome(asked)

    expect(chunks).toEqual([text('Hal')])
    expect(error).toMatchObject({ code: 'provider_unavailable' })
  })

  test('does not ask at all when nobody waits', async () => {
    const asked = provider()
    const reason = new AppError('provider_unavailable', 'gone')

    const { error } = await outcome(asked, { signal: AbortSignal.abort(reason) })

    expect(error).toBe(reason)
    expect(asked.signals).toEqual([])
  })

  test.each([
    ['before the first piece', givesAndHangs(), []],
    ['between two pieces', givesAndHangs(text('Hal')), [text('Hal')]],
  ])('stops a deaf provider when the caller leaves %s', async (_, attempt, came) => {
    const asked = provider(attempt)
    const caller = new AbortController()
    const reason = new AppError('provider_unavailable', 'gone')
    const over = outcome(asked, { signal: caller.signal })
    await new Promise((resolve) => setImmediate(resolve))

    caller.abort(reason)

    expect(await over).toEqual({ chunks: came, error: reason })
    expect(asked.signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  test('stops waiting to ask again when the caller leaves', async () => {
    const asked = provider(busy(10))
    const caller = new AbortController()
    const reason = new AppError('provider_unavailable', 'gone')
    const over = outcome(asked, { totalMs: 60_000, signal: caller.signal })
    await new Promise((resolve) => setImmediate(resolve))

    caller.abort(reason)

    expect(await over).toEqual({ chunks: [], error: reason })
    expect(asked.signals).toHaveLength(1)
  })

  test('passes a defect on as it is', async () => {
    const defect = new TypeError('undefined is not a function')
    const asked = provider(() => {
      throw defect
    })

    const { error } = await outcome(asked)

    expect(error).toBe(defect)
  })
})
