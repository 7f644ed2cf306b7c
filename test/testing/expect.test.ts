import { expect as bunExpect, describe, test } from 'bun:test'
import { expect } from '../../src/testing'

const refused = (compare: () => void): boolean => {
  try {
    compare()
    return false
  } catch {
    return true
  }
}

const same = { title: 'Q3' }
const received = [{ title: 'Q3' }, { title: 'Q4' }]

describe('toMatchObject of the kit', () => {
  test('compares an object that is expected twice both times, which that of bun does not', () => {
    const byKit = refused(() => expect(received).toMatchObject([same, same]))
    const byBun = refused(() => bunExpect(received).toMatchObject([same, same]))

    expect(byKit).toBe(true)
    // When this fails, bun has repaired it and the kit's own `expect` can go.
    expect(byBun).toBe(false)
  })

  test('compares an object that is received twice both times', () => {
    const twice = [same, same]

    expect(refused(() => expect(twice).toMatchObject(received))).toBe(true)
    expect(refused(() => expect(twice).toMatchObject([{ title: 'Q3' }, { title: 'Q3' }]))).toBe(false)
  })

  test.each([
    ['fields', () => expect({ a: { n: 1 }, b: { n: 2 } }).toMatchObject({ a: one, b: one })],
    ['lists', () => expect([[1], [2]]).toMatchObject([list, list])],
  ])('sees the second of two equal %s', (_, compare) => {
    expect(refused(compare)).toBe(true)
  })

  test.each([
    ['dates', new Date(5), new Date(5), new Date(6)],
    ['regular expressions', /a/, /a/, /b/],
    ['maps', new Map([[1, 'a']]), new Map([[1, 'a']]), new Map([[1, 'b']])],
    ['sets', new Set([1]), new Set([1]), new Set([2])],
    ['errors', new Error('a'), new Error('a'), new Error('b')],
  ])('compares %s, which that of bun does not', (_, value, equal, other) => {
    expect({ value, more: 1 }).toMatchObject({ value: equal })
    expect({ value, more: 1 }).not.toMatchObject({ value: other })
    expect(refused(() => expect({ value }).toMatchObject({ value: other }))).toBe(true)
    expect(refused(() => expect({ value }).not.toMatchObject({ value: equal }))).toBe(true)
    expect(refused(() => bunExpect({ value }).toMatchObject({ value: other }))).toBe(false)
  })

  test('leaves what it compares as it was, which that of bun does not', () => {
    const [ours, theirs] = [{ title: 'Q3' }, { title: 'Q3' }]

    expect(ours).toMatchObject({ title: expect.any(String) })
    bunExpect(theirs).toMatchObject({ title: expect.any(String) })

    expect([typeof ours.title, typeof theirs.title]).toEqual(['string', 'object'])
  })

  test('keeps matchers, not, resolves and rejects', async () => {
    const any = { title: expect.any(String), at: expect.objectContaining({ day: 1 }) }
    const row = { title: 'Q3', at: { day: 1, hour: 2 } }

    expect([row, row]).toMatchObject([any, any])
    expect([row, { ...row, title: 3 }]).not.toMatchObject([any, any])
    await expect(Promise.resolve([row, row])).resolves.toMatchObject([any, any])
    await expect(Promise.reject(row)).rejects.toMatchObject(any)
  })

  test('bears cycles on both sides', () => {
    type Loop = { name: string; self?: Loop; again?: Loop }
    const loop = (name: string): Loop => {
      const made: Loop = { name }
      made.self = made
      made.again = made
      return made
    }

    expect(loop('a')).toMatchObject(loop('a'))
    expect(refused(() => expect(loop('a')).toMatchObject(loop('b')))).toBe(true)
  })
})

const one = { n: 1 }
const list = [1]
