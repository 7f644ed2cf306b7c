import { describe, expect, test } from 'bun:test'
import { usageOf } from '../../src/chat/usage'

const prompts = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Hello, who are you?' },
] as const
const estimated = { prompt_tokens: 8, completion_tokens: 3, is_estimated: true }

describe('The usage of a reply', () => {
  test('is what the provider reported', () => {
    const usage = usageOf({ prompt_tokens: 12, completion_tokens: 4 }, prompts, 'I am a model')

    expect(usage).toEqual({ prompt_tokens: 12, completion_tokens: 4, is_estimated: false })
  })

  test.each([
    ['nothing', undefined],
    ['a negative prompt', { prompt_tokens: -1, completion_tokens: 4 }],
    ['a negative completion', { prompt_tokens: 12, completion_tokens: -4 }],
    ['an endless prompt', { prompt_tokens: Number.POSITIVE_INFINITY, completion_tokens: 4 }],
    ['more than any model reads', { prompt_tokens: 10_000_001, completion_tokens: 4 }],
    ['more than any model writes', { prompt_tokens: 12, completion_tokens: 1e300 }],
    ['no number', { prompt_tokens: Number.NaN, completion_tokens: Number.NaN }],
    ['half a token', { prompt_tokens: 12.5, completion_tokens: 4 }],
    ['nothing for a prompt', { prompt_tokens: 0, completion_tokens: 4 }],
    ['nothing for a reply that has text', { prompt_tokens: 12, completion_tokens: 0 }],
  ])('is estimated where the provider reported %s', (_, reported) => {
    const usage = usageOf(reported, prompts, 'I am a model')

    expect(usage).toEqual(estimated)
  })

  test('may be no completion tokens where there is no text', () => {
    const usage = usageOf({ prompt_tokens: 12, completion_tokens: 0 }, prompts, '')

    expect(usage).toEqual({ prompt_tokens: 12, completion_tokens: 0, is_estimated: false })
  })

  test('is estimated as a token for every four characters begun', () => {
    const usage = usageOf(undefined, [{ role: 'user', content: 'abcde' }], 'abcd')

    expect(usage).toEqual({ prompt_tokens: 2, completion_tokens: 1, is_estimated: true })
  })
})
