import { describe, expect, test } from 'bun:test'
import { newId } from '../../src/ids'
import { firstIdAt, minuteOf, monthOf, secondsLeft, secondsOf } from '../../src/quotas/windows'

const at = (time: string) => new Date(time)

describe('a month', () => {
  test.each([
    ['2026-12-31T23:59:59.999Z', '2026-12', '2027-01-01T00:00:00.000Z', 31],
    ['2027-01-01T00:00:00.000Z', '2027-01', '2027-02-01T00:00:00.000Z', 31],
    ['2028-02-29T12:00:00.000Z', '2028-02', '2028-03-01T00:00:00.000Z', 29],
    ['2100-02-28T12:00:00.000Z', '2100-02', '2100-03-01T00:00:00.000Z', 28],
  ])('of %s is %s and ends at %s', (now, name, end, days) => {
    const month = monthOf(at(now))

    expect(month).toEqual({ name, startsAt: at(`${name}-01T00:00:00.000Z`), endsAt: at(end) })
    expect(secondsOf(month)).toBe(days * 86_400)
  })
})

describe('a minute', () => {
  test.each([
    ['2026-03-02T09:00:00.000Z', 60],
    ['2026-03-02T09:00:00.001Z', 60],
    ['2026-03-02T09:00:59.000Z', 1],
    ['2026-03-02T09:00:59.999Z', 1],
  ])('has at %s so many seconds left: %i', (now, seconds) => {
    const minute = minuteOf(at(now))

    expect(minute).toEqual({ startsAt: at('2026-03-02T09:00:00.000Z'), endsAt: at('2026-03-02T09:01:00.000Z') })
    expect(secondsLeft(minute, at(now))).toBe(seconds)
  })
})

describe('the first id of a time', () => {
  test('stands between those that were made before it and those that were made then', () => {
    const first = firstIdAt(at('2026-04-01T00:00:00.000Z'))
    const before = newId({ now: () => at('2026-03-31T23:59:59.999Z') })
    const then = newId({ now: () => at('2026-04-01T00:00:00.000Z') })

    expect([then, first, before].toSorted()).toEqual([before, first, then])
  })
})
