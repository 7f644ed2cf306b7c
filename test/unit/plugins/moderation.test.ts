import { describe, expect, test } from 'bun:test'
import { Value } from '@sinclair/typebox/value'
import { moderation } from '../../../src/plugins/moderation'
import { contextOf, present } from './context'

const admit = present(moderation.chat?.admit)
const review = present(moderation.chat?.review)
const flag = (words: string[], patterns: string[] = []) => contextOf({ action: 'flag', words, patterns })
const rules = (...broken: string[]) => ({ annotate: { matched: broken.length, rules: broken } })

describe('a word', () => {
  test.each([
    ['at the beginning', 'passion', 'Passion it is'],
    ['at the end of a sentence', 'passion', 'It is passion.'],
    ['in capitals', 'passion', 'PASSION!'],
    ['written in capitals in the rule', 'PASSION', 'passion'],
    ['in quotes', 'passion', '“passion”'],
    ['beside a hyphen', 'passion', 'passion-fruit'],
    ['with an accent of its own or a composed one', 'caf\u00e9', 'a cafe\u0301'],
    ['in full width', 'passion', 'ｐａｓｓｉｏｎ'],
    ['with a ligature', 'fiend', 'ﬁend'],
    ['with something unseen in it', 'passion', 'pas\u200bs\u00adion'],
    ['with ß for ss', 'strasse', 'Straße'],
    ['with a final sigma', 'ΟΔΟΣ', 'οδος'],
    ['in Cyrillic', 'слово', 'Слово.'],
    ['of digits', '4711', 'No. 4711!'],
    ['in a group of words', 'very  Bad idea', 'A very bad, idea'],
    ['with an apostrophe', "don't", 'Don’t'],
    ['in a group that begins twice', 'no no yes', 'no no no yes'],
  ])('is found %s', async (_, word, content) => {
    const verdict = await admit.run({ content }, flag([word]))

    expect(verdict).toEqual(rules('/words/0'))
  })

  test.each([
    ['inside another', 'passion', 'compassionate'],
    ['before a digit', 'passion', 'passion2'],
    ['before letters of another script', 'passion', 'passionслово'],
    ['with a look-alike', 'passion', 'pаssion'],
    ['in half of a group', 'very bad idea', 'very bad'],
    ['in a group with another word in it', 'very bad', 'very very, not bad'],
    ['in nothing', 'passion', ''],
  ])('is not found %s', async (_, word, content) => {
    const verdict = await admit.run({ content }, flag([word]))

    expect(verdict).toBeUndefined()
  })

  test('is found beside a group that begins with it', async () => {
    const verdict = await admit.run({ content: 'very bad, very good' }, flag(['very', 'very bad', 'bad']))

    expect(verdict).toEqual(rules('/words/0', '/words/1', '/words/2'))
  })

  test('is one of a thousand, and all that are found are said by their places', async () => {
    const words = Array.from({ length: 1000 }, (_, index) => `word${index}`)

    const verdict = await admit.run({ content: 'word999 word0 word1000 word5 word5' }, flag(words))

    expect(verdict).toEqual(rules('/words/0', '/words/5', '/words/999'))
  })

  test('of many that are found, twenty are named and all are counted', async () => {
    const words = Array.from({ length: 30 }, (_, index) => `word${index}`)

    const verdict = await admit.run({ content: words.join(' ') }, flag(words))

    expect(verdict).toEqual({
      annotate: { matched: 30, rules: Array.from({ length: 20 }, (_, index) => `/words/${index}`) },
    })
  })
})

describe('a pattern', () => {
  test('is found anywhere, beside words, as it is written', async () => {
    const context = flag(['passion'], ['(?i)pass(word|phrase):', '\\d{6}', 'Pass'])

    const verdict = await admit.run({ content: 'my Password: 123456 passion' }, context)
    const other = await admit.run({ content: 'pass 12345' }, context)

    expect(verdict).toEqual(rules('/words/0', '/patterns/0', '/patterns/1', '/patterns/2'))
    expect(other).toBeUndefined()
  })
})

describe('a message that breaks a rule', () => {
  test('is refused in the words of the tenant, or in our own', async () => {
    const config = { action: 'refuse', words: ['passion'] }

    const verdicts = [
      await admit.run({ content: 'passion' }, contextOf({ ...config, message: 'Not here.' })),
      await admit.run({ content: 'passion' }, contextOf(config)),
      await admit.run({ content: 'patience' }, contextOf(config)),
    ]

    expect(verdicts).toEqual([
      { refuse: 'Not here.' },
      { refuse: 'The rules of this service do not allow this message.' },
      undefined,
    ])
  })
})

describe('a reply that breaks a rule', () => {
  const reply = { text: 'With passion.' }
  const config = { words: ['passion'], message: 'Not here.' }

  test.each([
    ['is replaced', { action: 'refuse', check_replies: true }, { text: 'Not here.', ...rules('/words/0') }, true],
    ['is flagged', { action: 'flag', check_replies: true }, rules('/words/0'), false],
    ['is let through where replies are not checked', { action: 'refuse', check_replies: false }, undefined, false],
    ['is let through where nothing is said of replies', { action: 'refuse' }, undefined, false],
  ])('%s', async (_, chosen, expected, mayChange) => {
    const context = contextOf({ ...config, ...chosen })

    const verdicts = [await review.run(reply, context), await review.run({ text: 'With patience.' }, context)]

    expect(verdicts).toEqual([expected, undefined])
    expect(review.mayChange(context.config)).toBe(mayChange)
  })
})

describe('the config', () => {
  const check = present(moderation.check)

  test.each([
    ['words', { action: 'flag', words: ['a'] }],
    ['patterns', { action: 'refuse', patterns: ['a'], message: 'No.', check_replies: true }],
    ['1,000 words', { action: 'flag', words: Array(1000).fill('a') }],
  ])('may hold %s', (_, config) => {
    const verdict = [Value.Check(moderation.config, config), check(config)]

    expect(verdict).toEqual([true, undefined])
  })

  test.each([
    ['no action', { words: ['a'] }],
    ['another action', { action: 'report', words: ['a'] }],
    ['1,001 words', { action: 'flag', words: Array(1001).fill('a') }],
    ['21 patterns', { action: 'flag', patterns: Array(21).fill('a') }],
    ['an empty word', { action: 'flag', words: [''] }],
    ['an empty message', { action: 'flag', words: ['a'], message: '' }],
    ['an unknown field', { action: 'flag', words: ['a'], replies: true }],
  ])('may not hold %s', (_, config) => {
    const verdict = Value.Check(moderation.config, config)

    expect(verdict).toBe(false)
  })

  test.each([
    ['no rule', { words: [] }, '/words', 'leaves no rule, nor do patterns'],
    ['a word of signs', { words: ['a', '$$$'] }, '/words/1', 'has no letter and no digit'],
    [
      'a lookaround',
      { patterns: ['a', 'a(?!b)'] },
      '/patterns/1',
      'is no pattern in RE2 syntax, which has no backreferences and no lookaround',
    ],
    ['a pattern of nothing', { patterns: ['(a|b)*'] }, '/patterns/0', 'matches the empty string'],
  ])('is refused with %s, and says where', (_, config, path, message) => {
    const mistake = check({ action: 'flag', ...config })

    expect(mistake).toEqual({ path, message })
  })
})

describe('what strangers write', () => {
  // What is not linear takes minutes for these, so that this ends within its time is the check.
  test.each([
    ['words that begin a rule', 'no '],
    ['one word', 'a'],
    ['marks', 'a\u0301\u0300'],
    ['unseen characters', '\u200b'],
    ['signs', '.'],
    ['what grows when it is normalised', '\ufdfa'],
  ])('is read in one go: 100 KB of %s', async (_, piece) => {
    const words = Array.from({ length: 1000 }, (_, index) => `${'no '.repeat(30)}${index}`)
    const content = `${piece.repeat(100_000 / piece.length)} ${words[7]}`

    const verdict = await admit.run({ content }, flag(words, ['(x+x+)+y', '(?:a|b)*a(?:a|b){100}c']))

    expect(verdict).toEqual(rules('/words/7'))
  })
})
