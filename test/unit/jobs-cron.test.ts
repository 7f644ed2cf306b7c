import { describe, expect, test } from 'bun:test'
import { isCron, lastTime, nextTime } from '../../src/jobs/cron'

const at = (time: string) => new Date(`${time}Z`)

describe('A cron expression', () => {
  const good = [
    '* * * * *',
    '*/5 * * * *',
    '0 0 * * *',
    '0 9-17 * * MON-FRI',
    '0 0 29 2 *',
    '0 0 L * *',
    '0 0 * * MON#1',
    '@hourly',
    '@daily',
    '@weekly',
    '@monthly',
    '@yearly',
  ]
  test.each(good)('is %s', (text) => {
    expect(isCron(text)).toBe(true)
  })

  const bad: [string, string][] = [
    ['nothing', ''],
    ['a space', ' '],
    ['a word', 'daily'],
    ['four fields', '* * * *'],
    ['six fields: seconds', '* * * * * *'],
    ['six fields: one second', '0 0 0 * * *'],
    ['seven fields', '0 0 0 * * * 2030'],
    ['a moment', '2030-01-01T00:00:00'],
    ['a moment in UTC', '2030-01-01T00:00:00Z'],
    ['a day that never comes', '0 0 30 2 *'],
    ['a day that no such month has', '0 0 31 4 *'],
    ['an unknown nickname', '@secondly'],
    ['a start of the machine', '@reboot'],
    ['minute 60', '60 * * * *'],
    ['hour 24', '0 24 * * *'],
    ['day 0', '0 0 0 * *'],
    ['a step of 0', '*/0 * * * *'],
    ['a step too wide', '*/61 * * * *'],
    ['a range of ranges', '1-1-1 * * * *'],
    ['a negative minute', '-1 * * * *'],
    ['an exponent', '1e1 * * * *'],
    ['hexadecimal', '0x1 * * * *'],
    ['a fraction', '0.5 * * * *'],
    ['NUL', '0 0 * * *\u0000'],
    ['other digits', '٣ * * * *'],
    ['the name of a prototype', '__proto__ * * * *'],
    ['an object of JavaScript', 'constructor constructor constructor constructor constructor'],
    ['101 characters', `${'0,'.repeat(46)}0 * * * *`.padEnd(101, ' ')],
  ]
  test.each(bad)('is not %s', (_, text) => {
    expect(isCron(text)).toBe(false)
    expect(() => nextTime(text, at('2026-03-02T09:00'))).toThrow('This is no cron expression')
  })

  // A reader that tries everything takes minutes for these, so that this file ends within its time is the check.
  const hostile: [string, boolean, string][] = [
    ['100 KB of commas', false, `${'0,'.repeat(50_000)}0 * * * *`],
    ['100 KB of spaces', false, ' '.repeat(100_000)],
    ['100 KB of stars', false, '*'.repeat(100_000)],
    ['100 KB of words', false, 'MON,'.repeat(25_000)],
    ['a list that fits', true, `${'0,'.repeat(45)}0 * * * *`],
    ['the rarest of days', true, '0 0 * 2 +FRI#5'],
    ['weekdays nearest to what is not there', false, '0 0 30W,31W 2 *'],
    ['ranges that overlap', true, '0-59,0-59,0-59,0-59,0-59,0-59,0-59,0-59 0-23,0-23 1-31,1-31 1-12,1-12 0-6,0-6'],
  ]
  test.each(hostile)('takes no longer to read for %s', (_, answer, text) => {
    expect(isCron(text)).toBe(answer)
  })
})

describe('A time', () => {
  const next: [string, string, string][] = [
    ['0 0 * * *', '2026-03-01T23:59:59.999', '2026-03-02T00:00'],
    ['0 0 * * *', '2026-03-02T00:00', '2026-03-03T00:00'],
    ['0 0 1 1 *', '2026-12-31T23:59:59.999', '2027-01-01T00:00'],
    ['0 0 29 2 *', '2026-03-02T00:00', '2028-02-29T00:00'],
    // Where clocks are changed: in UTC each of these days has 24 hours, and each time comes once.
    ['30 2 * * *', '2026-03-28T02:30', '2026-03-29T02:30'],
    ['30 2 * * *', '2026-10-24T02:30', '2026-10-25T02:30'],
    ['30 * * * *', '2026-03-29T01:30', '2026-03-29T02:30'],
    ['30 * * * *', '2026-10-25T01:30', '2026-10-25T02:30'],
  ]
  test.each(next)('of %s after %s is %s', (cron, after, time) => {
    expect(nextTime(cron, at(after))).toEqual(at(time))
  })

  const last: [string, string, string][] = [
    ['0 0 * * *', '2026-03-02T00:00', '2026-03-02T00:00'],
    ['0 0 * * *', '2026-03-01T23:59:59.999', '2026-03-01T00:00'],
    ['*/5 * * * *', '2026-03-02T09:04:59', '2026-03-02T09:00'],
  ]
  test.each(last)('of %s at %s or before is %s', (cron, moment, time) => {
    expect(lastTime(cron, at(moment))).toEqual(at(time))
  })
})
