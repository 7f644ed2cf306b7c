import { describe, expect, test } from 'bun:test'
import { readChoice, writeChoice, wrongWith } from '../../src/dashboard/page/range'
import { readToken } from '../../src/dashboard/page/token'
import { compact, cost, count, percent, plural, span, time } from '../../src/dashboard/page/words'

describe('The words of the dashboard', () => {
  test.each([
    [0, '0 ms'],
    [0.0123, '0.01 ms'],
    [3.037, '3.04 ms'],
    [12.34, '12.3 ms'],
    [340.4, '340 ms'],
    [999.9, '1 s'],
    [1500, '1.5 s'],
    [125_000, '125 s'],
  ] as const)('say %p milliseconds as people do: %s', (ms, words) => {
    expect(time(ms)).toBe(words)
  })

  test('count exactly, however much it is', () => {
    expect([count(0), count(9_007_199_254_740_991)]).toEqual(['0', '9,007,199,254,740,991'])
    expect([compact(999), compact(12_345), compact(3_400_000)]).toEqual(['999', '12.3K', '3.4M'])
    expect([percent(0), percent(0.0004), percent(0.555), percent(1)]).toEqual(['0%', '0.04%', '55.5%', '100%'])
    expect([cost(58), cost(0), cost(12_500_000)]).toEqual(['0.000058', '0.00', '12.50'])
    expect([plural(1, 'day'), plural(0, 'day'), plural(1200, 'day')]).toEqual(['1 day', '0 days', '1,200 days'])
  })

  test('name days in UTC', () => {
    expect(span({ start_date: '2026-02-28', end_date: '2026-03-01' })).toBe('28 Feb 2026 to 1 Mar 2026 (2 days)')
    expect(span({ start_date: '2026-03-01', end_date: '2026-03-01' })).toBe('1 Mar 2026')
  })
})

describe('The days in the address of the dashboard', () => {
  test.each([[{ days: 7 }], [{ days: 90 }], [{ start_date: '2026-02-01', end_date: '2026-02-28' }]] as const)(
    'are read as they were written: %p',
    (choice) => {
      expect(readChoice(writeChoice(choice))).toEqual(choice)
    },
  )

  test.each([
    [''],
    ['?days=8'],
    ['?start_date=2026-02-30&end_date=2026-03-01'],
    ['?start_date=2026-02-02&end_date=2026-02-01'],
  ] as const)('are the last thirty where %p says nothing of use', (search) => {
    expect(readChoice(search)).toEqual({ days: 30 })
  })

  test('are at most 366, both included', () => {
    expect(wrongWith({ start_date: '2024-01-01', end_date: '2024-12-31' })).toBeUndefined()
    expect(wrongWith({ start_date: '2024-01-01', end_date: '2025-01-01' })).toBe('Choose at most 366 days.')
  })
})

describe('A pasted token', () => {
  test.each([
    [' eyJhbGc.e30.c2ln\n', 'eyJhbGc.e30.c2ln'],
    ['Bearer eyJhbGc.e30.c2ln', 'eyJhbGc.e30.c2ln'],
    ['Authorization: bearer eyJhbGc.e30.c2ln', 'eyJhbGc.e30.c2ln'],
    ['', undefined],
    ['two words', undefined],
    ['eyJ…', undefined],
  ] as const)('is read out of %p', (pasted, token) => {
    expect(readToken(pasted)).toBe(token)
  })
})
