import { describe, expect, test } from 'bun:test'
import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import { piiRedaction } from '../../../src/plugins/pii-redaction/pii-redaction'
import type { Prompt } from '../../../src/providers/provider'
import { contextOf, present } from './context'

const prepare = present(piiRedaction.chat?.prepare)
const user = (content: string): Prompt => ({ role: 'user', content })

/** What the provider is sent in place of one message of a user. */
async function sent(content: string, config: Record<string, unknown> = {}): Promise<string | undefined> {
  const prepared = await prepare.run([user(content)], contextOf(config))
  return prepared ? prepared.messages[0]?.content : content
}

describe('an e-mail address', () => {
  test.each([
    ['ada@example.com', '[EMAIL_1]'],
    ['Write to ada@example.com.', 'Write to [EMAIL_1].'],
    ['Is it ada@example.com?', 'Is it [EMAIL_1]?'],
    ['ada.lovelace+news@mail.example.co.uk, please', '[EMAIL_1], please'],
    ['<ada@example.com>; (bob@example.com)', '<[EMAIL_1]>; ([EMAIL_2])'],
    ['https://example.com/?email=ada@example.com&x=1', 'https://example.com/?email=[EMAIL_1]&x=1'],
    ['https://example.com/?email=ada%40example.com&x=1', 'https://example.com/?email=[EMAIL_1]&x=1'],
    ['mailto:ADA@EXAMPLE.COM', 'mailto:[EMAIL_1]'],
    ["it's 'o'brien@example.com'", "it's '[EMAIL_1]'"],
    ['müller@köln.de und иван@пример.рф', '[EMAIL_1] und [EMAIL_2]'],
    ['a@xn--kln-sna.xn--p1ai', '[EMAIL_1]'],
    ['请写信到ada@example.com。谢谢', '请写信到[EMAIL_1]。谢谢'],
    ['ada＠example．com', '[EMAIL_1]'],
    ['ada@exam\u00adple.com!', '[EMAIL_1]!'],
    [
      '\u200bx\u200b ada@exam\u200bple.com\u200b\u200b! 😀 𝟏 bob@example.com😀',
      '\u200bx\u200b [EMAIL_1]\u200b\u200b! 😀 𝟏 [EMAIL_2]😀',
    ],
    ['ada@example.com ada@example.com eve@example.com', '[EMAIL_1] [EMAIL_1] [EMAIL_2]'],
  ])('is replaced in %s', async (text, expected) => {
    const redacted = await sent(text)

    expect(redacted).toBe(expected)
  })

  test.each(['ada@localhost', 'npm i react@18.2.0', '@ada', 'a @ b.com', 'ada@', '@example.com', 'x@y.z', '3 @ 4.50'])(
    'is not what stands in %s',
    async (text) => {
      const redacted = await sent(text)

      expect(redacted).toBe(text)
    },
  )
})

describe('a phone number', () => {
  test.each([
    ['Call +49 30 1234567.', 'Call [PHONE_1].'],
    ['+49 (0)30 123 45-67', '[PHONE_1]'],
    ['+1 (212) 555-0123', '[PHONE_1]'],
    ['+442079460958', '[PHONE_1]'],
    ['0049 30 1234567', '[PHONE_1]'],
    ['tel:+4930-1234567', 'tel:[PHONE_1]'],
    ['(212) 555-0123, 212-555-0123 or 1.212.555.0123', '[PHONE_1], [PHONE_2] or [PHONE_3]'],
    ['030 / 1234567', '[PHONE_1]'],
    ['030 - 1234567', '[PHONE_1]'],
    ['0171/1234567', '[PHONE_1]'],
    ['01711234567', '[PHONE_1]'],
    ['(030) 1234567', '[PHONE_1]'],
    ['06 12 34 56 78', '[PHONE_1]'],
    ['020 7946 0958', '[PHONE_1]'],
    ['٠١٧١ ١٢٣٤٥٦٧', '[PHONE_1]'],
    ['０１７１－１２３４５６７', '[PHONE_1]'],
    ['+49\u00a030\u202f1234567', '[PHONE_1]'],
    ['+𝟒𝟗 𝟑𝟎 𝟏𝟐𝟑𝟒𝟓𝟔𝟕 and on', '[PHONE_1] and on'],
    ['030 1234567 or 030 7654321', '[PHONE_1] or [PHONE_2]'],
  ])('is replaced in %s', async (text, expected) => {
    const redacted = await sent(text)

    expect(redacted).toBe(expected)
  })

  test.each([
    '2026-03-02 09:00:00',
    '2026-03-02T09:00:00.000+01:00',
    '01.02.2026 10:30',
    '02/03/2026 12 o’clock',
    '3.0123456789',
    '2125550123',
    '192.168.100.200',
    '5+12345678',
    '0196f4a2-0000-7000-8000-00000000000a',
    '01960000-0000-7000-8000-000000000001',
    'cafe-0123-4567-89a1-0123456789ab',
    '0123456789abcdef',
    'version 10.20.300.4000',
    '1,234,567,890',
    '10 000 000',
    '+1000',
  ])('is not what stands in %s', async (text) => {
    const redacted = await sent(text, { kinds: ['phone'] })

    expect(redacted).toBe(text)
  })
})

describe('a card number', () => {
  test.each([
    ['4111111111111111', '[CARD_1]'],
    ['4111 1111 1111 1111', '[CARD_1]'],
    ['5500-0000-0000-0004.', '[CARD_1].'],
    ['3782 822463 10005', '[CARD_1]'],
    ['4222222222222', '[CARD_1]'],
    ['6304000000000000000', '[CARD_1]'],
    ['card:4111 1111 1111 1111, 12/27', 'card:[CARD_1], 12/27'],
    ['4111 1111 1111 1111 123', '[CARD_1] 123'],
    ['2 4111 1111 1111 1111', '2 [CARD_1]'],
    ['v2 4111 1111 1111 1111', 'v2 [CARD_1]'],
    ['0.50 4111 1111 1111 1111', '0.50 [CARD_1]'],
    ['4111 1111 1111 1111 5500 0000 0000 0004', '[CARD_1] [CARD_2]'],
    ['٤١١١ ١١١١ ١١١١ ١١١١', '[CARD_1]'],
    ['卡号4111111111111111。', '卡号[CARD_1]。'],
    ['4111\u20111111\u20111111\u20111111', '[CARD_1]'],
  ])('is replaced in %s', async (text, expected) => {
    const redacted = await sent(text, { kinds: ['card'] })

    expect(redacted).toBe(expected)
  })

  test.each([
    '4111111111111112',
    '4111 1111 1111 1112',
    '411111111111',
    '41111111111111111111111',
    '0000 0000 0000 0000',
    'a4111111111111111',
    '0.4111111111111111',
    '4111  1111  1111  1111',
  ])('is not what stands in %s', async (text) => {
    const redacted = await sent(text, { kinds: ['card'] })

    expect(redacted).toBe(text)
  })
})

describe('an IBAN', () => {
  test.each([
    ['DE89370400440532013000', '[IBAN_1]'],
    ['DE89 3704 0044 0532 0130 00 is mine', '[IBAN_1] is mine'],
    ['iban:gb29 nwbk 6016 1331 9268 19.', 'iban:[IBAN_1].'],
    ['NO93 8601 1117 947', '[IBAN_1]'],
    ['MT84-MALT-0110-0001-2345-MTLC-AST0-01S', '[IBAN_1]'],
    ['FR14 2004 1010 0505 0001 3M02 606', '[IBAN_1]'],
    ['DE٨٩ ٣٧٠٤ ٠٠٤٤ ٠٥٣٢ ٠١٣٠ ٠٠', '[IBAN_1]'],
  ])('is replaced in %s', async (text, expected) => {
    const redacted = await sent(text)

    expect(redacted).toBe(expected)
  })

  test.each([
    'DE88370400440532013000',
    'DE8937040044053201300',
    'DE893704004405320130001',
    'XX89370400440532013000',
    'xDE89370400440532013000',
  ])('is not what stands in %s', async (text) => {
    const redacted = await sent(text, { kinds: ['iban'] })

    expect(redacted).toBe(text)
  })
})

describe('a pattern of the tenant', () => {
  test('is replaced by its name, beside the kinds', async () => {
    const config = { patterns: [{ name: 'employee_id', pattern: 'EMP-\\d{5}' }] }

    const redacted = await sent('😀 EMP-12345 is ada@example.com, EMP-54321 is not EMP-1.', config)

    expect(redacted).toBe('😀 [EMPLOYEE_ID_1] is [EMAIL_1], [EMPLOYEE_ID_2] is not EMP-1.')
  })

  test.each([
    ['inside another find is part of it', 'example', 'ada@example.com', '[EMAIL_1]'],
    ['around another find takes it in', 'Ada <.*>', 'Ada <ada@example.com>', '[OWN_1]'],
    [
      'that overlaps another find joins it, and the longer one names both',
      '\\.com.{3}',
      'ada@example.com/abc',
      '[EMAIL_1]c',
    ],
    ['that only touches another find stays by itself', '/\\w+', 'ada@example.com/abc', '[EMAIL_1][OWN_1]'],
  ])('%s', async (_, pattern, text, expected) => {
    const redacted = await sent(text, { patterns: [{ name: 'own', pattern }] })

    expect(redacted).toBe(expected)
  })
})

describe('what strangers write', () => {
  test('does not keep a pattern busy: the request fails, so that nothing leaves', async () => {
    const config = { patterns: [{ name: 'own', pattern: 'a(.*b)?' }] }

    const few = await sent('aaa', config)
    const many = await sent('a'.repeat(32_000), config).catch(String) // minutes, if it were let

    expect(few).toBe('[OWN_1][OWN_1][OWN_1]')
    expect(many).toBe('Error: The patterns of the tenant take longer than 250 ms.')
  })

  // What backtracks takes minutes for these, so that this ends within its time is the check.
  test.each(
    [
      'a',
      '0',
      '1 ',
      '0-',
      '@',
      'a@',
      '@a.',
      'a@b.co ',
      '(0',
      '+1',
      '1. ',
      'DE89',
      'AA11 ',
      '٤',
      '\u200b1',
      '[EMAIL_1]',
      '%40',
    ].flatMap((shape) =>
      ['', '@', '+1', 'a@', '['].map((head) => [JSON.stringify(head + shape), head, shape] as const),
    ),
  )('is read in one go: 100 KB of %s', async (_, head, shape) => {
    const text = head + shape.repeat(100_000 / shape.length)

    const redacted = await sent(`${text} ada@example.com`, { restore: true })

    expect(redacted).toMatch(/ \[EMAIL_\d+\]$/)
  })
})

describe('the config', () => {
  const check = present(piiRedaction.check)
  const pattern = (source: string, name = 'own') => ({ name, pattern: source })

  test.each([
    ['nothing at all', {}],
    ['some kinds', { kinds: ['email', 'iban'] }],
    ['only patterns', { kinds: [], patterns: [pattern('a+')] }],
    ['twenty patterns', { patterns: Array.from({ length: 20 }, (_, index) => pattern('a', `own_${index}`)) }],
    ['large classes and repetitions', { patterns: [pattern('\\p{Lu}{2}\\pN{1,200}-\\x{100}[{]\\{900\\}')] }],
    ['a pattern of 500 characters', { patterns: [pattern('a'.repeat(498))], restore: true }],
  ])('may hold %s', (_, config) => {
    const verdict = [Value.Check(piiRedaction.config, config), check(config)]

    expect(verdict).toEqual([true, undefined])
  })

  test.each([
    ['a kind that is none', { kinds: ['name'] }],
    ['a kind twice', { kinds: ['email', 'email'] }],
    ['21 patterns', { patterns: Array.from({ length: 21 }, (_, index) => pattern('a', `own_${index}`)) }],
    ['a pattern of 501 characters', { patterns: [pattern('a'.repeat(501))] }],
    ['an empty pattern', { patterns: [pattern('')] }],
    ['a name with a bracket', { patterns: [pattern('a', 'a]')] }],
    ['an unknown field', { restored: true }],
  ])('may not hold %s', (_, config) => {
    const verdict = Value.Check(piiRedaction.config, config)

    expect(verdict).toBe(false)
  })

  const tooLarge = 'is too large once its repetitions are written out'
  const syntax = 'is no pattern in RE2 syntax, which has no backreferences and no lookaround'
  test.each([
    ['no kinds and no patterns', { kinds: [] }, '/kinds', 'leaves nothing to look for'],
    ['the name of a kind', { patterns: [pattern('a', 'email')] }, '/patterns/0/name', 'is taken'],
    ['one name twice', { patterns: [pattern('a'), pattern('b')] }, '/patterns/1/name', 'is taken'],
    ['an open bracket', { patterns: [pattern('a', 'b'), pattern('(')] }, '/patterns/1/pattern', syntax],
    ['a backreference', { patterns: [pattern('(a)\\1')] }, '/patterns/0/pattern', syntax],
    ['a look ahead', { patterns: [pattern('a(?=b)')] }, '/patterns/0/pattern', syntax],
    ['a look behind', { patterns: [pattern('(?<=a)b')] }, '/patterns/0/pattern', syntax],
    ['a pattern of nothing', { patterns: [pattern('a*')] }, '/patterns/0/pattern', 'matches the empty string'],
    ['a pattern of places', { patterns: [pattern('\\b')] }, '/patterns/0/pattern', 'matches the empty string'],
    ['a pattern of ends', { patterns: [pattern('$')] }, '/patterns/0/pattern', 'matches the empty string'],
    ['a pattern of many repetitions', { patterns: [pattern('\\pL{1,300}|\\d{300}')] }, '/patterns/0/pattern', tooLarge],
    ['repetitions in repetitions', { patterns: [pattern('(a{1,30}){1,30}')] }, '/patterns/0/pattern', tooLarge],
    [
      'many large classes',
      { patterns: [pattern('\\pL\\PN'.repeat(6))] },
      '/patterns/0/pattern',
      'names more than 10 classes with \\p',
    ],
  ])('is refused with %s, and says where', (_, config, path, message) => {
    const mistake = check(config)

    expect(mistake).toEqual({ path, message })
  })
})

describe('the messages of a request', () => {
  test('are all redacted, and one value has one placeholder in all of them', async () => {
    const messages: Prompt[] = [
      { role: 'system', content: 'Refer to help@example.com.' },
      user('I am ada@example.com'),
      { role: 'assistant', content: 'Hello ada@example.com' },
      user('Who is help@example.com?'),
      user('Nothing here'),
    ]

    const prepared = await prepare.run(messages, contextOf({}))

    expect(prepared).toEqual({
      messages: [
        { role: 'system', content: 'Refer to [EMAIL_1].' },
        user('I am [EMAIL_2]'),
        { role: 'assistant', content: 'Hello [EMAIL_2]' },
        user('Who is [EMAIL_1]?'),
        user('Nothing here'),
      ],
    })
    expect(messages[1]).toEqual(user('I am ada@example.com'))
  })

  test('are left alone where there is nothing to redact', async () => {
    const prepared = await prepare.run([user('Hello'), user('[EMAIL_1]')], contextOf({ restore: true }))

    expect(prepared).toBeUndefined()
  })

  test('are numbered from one where nothing is put back, whatever reads like a placeholder in an earlier reply', async () => {
    const messages: Prompt[] = [user('ada@example.com'), { role: 'assistant', content: 'Hello [EMAIL_1]' }]

    const prepared = await prepare.run(messages, contextOf({}))

    expect(prepared?.messages).toEqual([user('[EMAIL_1]'), { role: 'assistant', content: 'Hello [EMAIL_1]' }])
  })

  test('keep their placeholders when the conversation grows', async () => {
    const earlier = [user('ada@example.com'), user('bob@example.com')]

    const before = await prepare.run(earlier, contextOf({}))
    const after = await prepare.run([...earlier, user('ada@example.com, eve@example.com')], contextOf({}))

    expect(after?.messages).toEqual([...(before?.messages ?? []), user('[EMAIL_1], [EMAIL_3]')])
  })
})

describe('a reply', () => {
  /** What the caller reads of these pieces, and what was held back at most, in characters. */
  async function read(texts: string[], pieces: string[], config: Record<string, unknown> = {}) {
    const prepared = await prepare.run(texts.map(user), contextOf({ restore: true, ...config }))
    const rewrite = present(prepared?.rewrite)
    const outputs = pieces.map((piece) => rewrite.next(piece))
    return { outputs, text: outputs.join('') + rewrite.rest(), sent: prepared?.messages }
  }

  test('has the values where the model wrote placeholders, and only then a rewriter', async () => {
    const { text } = await read(['ada@example.com and +49 30 1234567'], ['[EMAIL_1], [PHONE_1], [EMAIL_1] [EMAIL_2]'])
    const without = await prepare.run([user('ada@example.com')], contextOf({ restore: false }))

    expect(text).toBe('ada@example.com, +49 30 1234567, ada@example.com [EMAIL_2]')
    expect(without).toEqual({ messages: [user('[EMAIL_1]')] })
  })

  test('does not turn what somebody typed into the data of another', async () => {
    const { sent, text } = await read(
      ['[EMAIL_1] is my name, and [EMAIL_3]', 'ada@example.com, bob@example.com', 'say [EMAIL_1]'],
      ['[EMAIL_1] [EMAIL_2] [EMAIL_3] [EMAIL_4]'],
    )

    expect(sent?.[1]).toEqual(user('[EMAIL_2], [EMAIL_4]'))
    expect(text).toBe('[EMAIL_1] ada@example.com [EMAIL_3] bob@example.com')
  })

  test('is put back once: what a value reads like is not put back again', async () => {
    const config = { patterns: [{ name: 'own', pattern: 'x\\[EMAIL_1\\]' }] }

    const { text } = await read(['x[EMAIL_1] ada@example.com'], ['[OWN_1] [EMAIL_2]'], config)

    expect(text).toBe('x[EMAIL_1] ada@example.com')
  })

  test('is held back only where a placeholder may have begun', async () => {
    const { outputs, text } = await read(
      ['ada@example.com'],
      ['See [', 'x] and [EM', 'AIL_2] or [E', 'MAIL_1', '], [[EMAIL_1]', ' [PHONE', ' [EMAIL'],
    )

    expect(outputs).toEqual([
      'See ',
      '[x] and ',
      '[EMAIL_2] or ',
      '',
      'ada@example.com, [ada@example.com',
      ' [PHONE',
      ' ',
    ])
    expect(text).toEndWith(' [PHONE [EMAIL')
  })

  test('is the same however it is cut into pieces, and never holds back as much as a placeholder', async () => {
    const texts = [Array.from({ length: 12 }, (_, index) => `p${index}@example.com`).join(' '), '+49 30 1234567']
    const parts = [
      '[EMAIL_1]',
      '[EMAIL_12]',
      '[EMAIL_13]',
      '[PHONE_1]',
      '[',
      ']',
      '_',
      '1',
      'EMAIL',
      '[EMAIL_',
      ' word ',
    ]
    const whole = fc.array(fc.constantFrom(...parts), { maxLength: 12 }).map((chosen) => chosen.join(''))
    const values = new Map([...Array(12).keys()].map((index) => [`[EMAIL_${index + 1}]`, `p${index}@example.com`]))
    values.set('[PHONE_1]', '+49 30 1234567')

    await fc.assert(
      fc.asyncProperty(whole, fc.array(fc.nat({ max: 120 }), { maxLength: 20 }), async (reply, places) => {
        const cuts = [...new Set(places.filter((place) => place < reply.length))].sort((a, b) => a - b)
        const pieces = [...cuts, reply.length].map((cut, index) => reply.slice(cuts[index - 1] ?? 0, cut))

        const { outputs, text } = await read(texts, pieces)

        const restored = (part: string) =>
          part.replace(/\[(?:EMAIL_\d+|PHONE_1)\]/g, (name) => values.get(name) ?? name)
        expect(text).toBe(restored(reply))
        for (const index of pieces.keys()) {
          const given = pieces.slice(0, index + 1).join('')
          const shown = outputs.slice(0, index + 1).join('')
          const begun = [...values.keys()].flatMap((name) => [...name].map((_, end) => name.slice(0, end)))
          const open = begun.filter((start) => given.endsWith(start)).sort((a, b) => b.length - a.length)[0] ?? ''
          expect(shown).toBe(restored(given.slice(0, given.length - open.length)))
        }
      }),
      { numRuns: 150 },
    )
  })

  test('that says what the model was sent reads like what was written, whatever that is', async () => {
    const parts = ['ada@example.com', '+49 30 1234567', '4111 1111 1111 1111', 'DE89370400440532013000', '[EMAIL_1]']
    const more = [
      '[PHONE_2]',
      '[',
      ']',
      '_1',
      '-',
      ' ',
      '+',
      '0',
      '1',
      '😀',
      '\u200b',
      '٤',
      '𝟏',
      '$&',
      '[OWN_1]',
      'EMP-1',
    ]
    const text = fc.oneof(
      {
        arbitrary: fc.array(fc.constantFrom(...parts, ...more), { maxLength: 15 }).map((chosen) => chosen.join('')),
        weight: 4,
      },
      { arbitrary: fc.uint16Array({ maxLength: 50 }).map((codes) => String.fromCharCode(...codes)), weight: 1 },
    )
    const config = { restore: true, patterns: [{ name: 'own', pattern: 'EMP-\\d+' }] }

    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 3 }), fc.nat(), async (texts, place) => {
        const prepared = await prepare.run([...texts, 'ada@example.com'].map(user), contextOf(config))
        const sent = present(prepared).messages.map(({ content }) => content)
        const rewrite = present(prepared?.rewrite)
        const reply = sent.join('\n')
        const cut = place % (reply.length + 1)

        const said = rewrite.next(reply.slice(0, cut)) + rewrite.next(reply.slice(cut)) + rewrite.rest()

        expect(said).toBe([...texts, 'ada@example.com'].join('\n'))
        expect(sent.at(-1)).toMatch(/^\[EMAIL_\d\]$/)
      }),
      { numRuns: 200 },
    )
  })

  test('comes back whole at every single cut', async () => {
    const reply = 'To [EMAIL_1] and [OWN_1]: [[EMAIL_1]] [EMAIL_1'
    const config = { patterns: [{ name: 'own', pattern: 'EMP-\\d+' }] }

    const texts = await Promise.all(
      [...reply].map((_, cut) => read(['ada@example.com EMP-1'], [reply.slice(0, cut), reply.slice(cut)], config)),
    )

    expect([...new Set(texts.map(({ text }) => text))]).toEqual([
      'To ada@example.com and EMP-1: [ada@example.com] [EMAIL_1',
    ])
  })
})
