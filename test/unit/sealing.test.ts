import { describe, expect, test } from 'bun:test'
import { buildSealer, SealError } from '../../src/sealing'

const keyOf = (byte: number) => Buffer.alloc(32, byte).toString('base64')
const [first, second] = [keyOf(1), keyOf(2)]
const only = (current: string) => buildSealer({ current, previous: undefined })
const owner = ['tenant-a', 'webhook']
const plain = '{"secret":"canary-2b9d Ω"}'

describe('What was sealed', () => {
  test('opens for its owner with the key that sealed it', () => {
    const sealed = only(first).seal(plain, owner)

    const opened = only(first).open(sealed, owner)

    expect(opened).toBe(plain)
  })

  test('says its form and key, and nothing of what is in it', () => {
    const { seal, keyId } = only(first)

    const sealed = seal(plain, owner)

    expect(sealed).toMatch(new RegExp(`^1\\.${keyId}\\.[\\w-]+$`))
    expect(Buffer.from(sealed.split('.')[2] ?? '', 'base64url').toString('latin1')).not.toContain('canary')
  })

  test('is never the same twice', () => {
    const { seal } = only(first)

    const sealed = Array.from({ length: 100 }, () => seal(plain, owner))

    expect(new Set(sealed).size).toBe(100)
  })

  test('may be empty', () => {
    const sealer = only(first)

    const opened = sealer.open(sealer.seal('', owner), owner)

    expect(opened).toBe('')
  })

  test.each([
    ['another tenant', ['tenant-b', 'webhook']],
    ['another plugin', ['tenant-a', 'slack']],
    ['nobody', []],
    ['a part of the owner', ['tenant-a']],
    ['the same letters, parted elsewhere', ['tenant-aw', 'ebhook']],
    ['the same letters in one piece', ['tenant-awebhook']],
  ])('does not open for %s', (_, other) => {
    const sealer = only(first)
    const sealed = sealer.seal(plain, owner)

    const opening = () => sealer.open(sealed, other)

    expect(opening).toThrow(new SealError('This was changed since it was sealed, or sealed for another owner.'))
    expect(sealer.open(sealed, owner)).toBe(plain)
  })

  test('does not open with any of its bits changed', () => {
    const sealer = only(first)
    const [form, keyId, text = ''] = sealer.seal(plain, owner).split('.')
    const bytes = Buffer.from(text, 'base64url')
    const changed = Array.from({ length: bytes.length * 8 }, (_, bit) => {
      const other = Buffer.from(bytes)
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      return `${form}.${keyId}.${other.toString('base64url')}`
    })

    const refused = changed.map((sealed) => refusal(() => sealer.open(sealed, owner)))

    expect(new Set(refused)).toEqual(new Set(['This was changed since it was sealed, or sealed for another owner.']))
  })

  test('does not open when anything is missing at its end', () => {
    const sealer = only(first)
    const sealed = sealer.seal(plain, owner)
    const shorter = Array.from({ length: sealed.length }, (_, length) => sealed.slice(0, length))

    const refused = shorter.map((part) => refusal(() => sealer.open(part, owner)))

    expect(new Set(refused)).toEqual(
      new Set([
        'This is nothing that was sealed here, or not all of it.',
        'This was changed since it was sealed, or sealed for another owner.',
      ]),
    )
  })

  test.each([
    ['{"secret":"canary"}'],
    ['1.0011223344556677.'],
    ['2.0011223344556677.AAAA'],
    [`1.${'0'.repeat(16)}.!!`],
  ])('is not %s', (text) => {
    const opening = () => only(first).open(text, owner)

    expect(opening).toThrow(new SealError('This is nothing that was sealed here, or not all of it.'))
  })

  test('is not what another spelling of the same bytes is', () => {
    const sealer = only(first)
    const sealed = sealer.seal('ab', owner) // 30 bytes would leave no spare bits, and 12 + 2 + 16 is 30
    const longer = sealer.seal('abc', owner)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(longer.at(-1) ?? '')

    const opening = [
      () => sealer.open(`${sealed}=`, owner),
      () => sealer.open(longer.slice(0, -1) + alphabet[last ^ 1], owner),
    ]

    expect(opening.map(refusal)).toEqual([
      'This is nothing that was sealed here, or not all of it.',
      'This is nothing that was sealed here, or not all of it.',
    ])
  })

  test('does not open with another key, and the error says which one it needs', () => {
    const sealed = only(first).seal(plain, owner)

    const opening = () => only(second).open(sealed, owner)

    expect(opening).toThrow(
      new SealError(
        `This was sealed with the key ${only(first).keyId}, which is not here; set ENCRYPTION_KEY_PREVIOUS to that key.`,
      ),
    )
  })

  test('does not open with another key under the id of the right one', () => {
    const sealed = only(first).seal(plain, owner)
    const claimed = sealed.replace(only(first).keyId ?? '', only(second).keyId ?? '')

    const opening = () => only(second).open(claimed, owner)

    expect(opening).toThrow(new SealError('This was changed since it was sealed, or sealed for another owner.'))
  })
})

describe('Two keys', () => {
  test('open what either sealed, and the current one seals', () => {
    const both = buildSealer({ current: second, previous: first })

    const sealed = both.seal(plain, owner)

    expect(both.open(only(first).seal(plain, owner), owner)).toBe(plain)
    expect(only(second).open(sealed, owner)).toBe(plain)
    expect([both.keyId, both.keyIds]).toEqual([only(second).keyId, [only(second).keyId, only(first).keyId] as string[]])
  })
})

describe('A key id', () => {
  test('is the same for the same key, another for another, and no part of the key', () => {
    const random = Buffer.from(crypto.getRandomValues(new Uint8Array(32)))

    const ids = [first, second, random.toString('base64'), random.toString('base64')].map(
      (key) => only(key).keyId ?? '',
    )

    expect(ids[2]).toBe(ids[3] as string)
    expect(new Set(ids).size).toBe(3)
    expect(random.toString('hex')).not.toContain(ids[2] as string)
  })
})

describe('A server without a key', () => {
  test('seals nothing, and says what to do', () => {
    const { seal, keyId } = buildSealer({ current: undefined, previous: undefined })

    const sealing = () => seal(plain, owner)

    expect(keyId).toBeUndefined()
    expect(sealing).toThrow(
      'This server has no ENCRYPTION_KEY, so it cannot keep secrets; ask its operator to set one.',
    )
  })
})

function refusal(opening: () => string): string {
  try {
    return `opened as ${opening()}`
  } catch (error) {
    return error instanceof SealError ? error.message : String(error)
  }
}
