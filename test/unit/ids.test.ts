import { describe, expect, test } from 'bun:test'
import { AppError } from '../../src/errors'
import { isId, newId, parseId } from '../../src/ids'

const at = (time: string) => ({ now: () => new Date(time) })
const thrown = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return error
  }
}

describe('a new id', () => {
  test('is a UUID of version 7 that holds the time of the clock', () => {
    const id = newId(at('2026-03-02T09:00:00.123Z'))

    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(Date.parse('2026-03-02T09:00:00.123Z'))
  })

  test('sorts after those of earlier times, and is never the same', () => {
    const times = ['1999-12-31T23:59:59.999Z', '2026-03-02T09:00:00.000Z', '2026-03-02T09:00:00.001Z']

    const ids = times.map((time) => newId(at(time)))
    const many = Array.from({ length: 10_000 }, () => newId(at('2026-03-02T09:00:00.000Z')))

    expect(ids.toSorted()).toEqual(ids)
    expect(new Set(many).size).toBe(10_000)
  })
})

describe('ids of one millisecond', () => {
  test('sort in the order they were made, whatever the clock did in between', () => {
    const standing = at('2026-03-02T09:00:00.000Z')

    const ids = Array.from({ length: 5000 }, () => {
      newId(at('2026-04-01T00:00:00.000Z'))
      return newId(standing)
    })

    expect(ids.toSorted()).toEqual(ids)
  })
})

describe('an id from outside', () => {
  const id = '01960000-0000-7000-8000-0000000abcde'

  test('is taken in either case and spelled as the database spells it', () => {
    const parsed = [parseId(id, 'conversation'), parseId(id.toUpperCase(), 'conversation')]

    expect(parsed).toEqual([id, id])
  })

  test.each([
    ['nothing', ''],
    ['a word', 'none'],
    ['a digit too few', id.slice(1)],
    ['a digit too many', `${id}0`],
    ['a letter that is no digit', id.replace('a', 'g')],
    ['no hyphens', id.replaceAll('-', '')],
    ['braces', `{${id}}`],
    ['a line break at the end', `${id}\n`],
    ['a quote', `${id.slice(0, -1)}'`],
    ['a letter that becomes one in lower case', id.replace('0abcde', '0abcdK')],
    ['a long text', id.repeat(1000)],
  ])('that is %s is not found, like one that nobody has', (_, value) => {
    const error = thrown(() => parseId(value, 'conversation'))

    expect(isId(value)).toBe(false)
    expect(error).toBeInstanceOf(AppError)
    expect(error).toMatchObject({ code: 'not_found', message: 'There is no such conversation.' })
  })
})
