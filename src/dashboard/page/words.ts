import type { Range } from '../../day'
import { beginOf, daysOf } from '../../day'

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const part = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 })
const smallPart = new Intl.NumberFormat('en', { style: 'percent', maximumSignificantDigits: 1 })
const units = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 6 })
const decimals = (digits: number) => new Intl.NumberFormat('en', { maximumFractionDigits: digits })
const [tenths, hundredths] = [decimals(1), decimals(2)]
const dayAndMonth = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const longDay = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })

export const count = (number: number): string => whole.format(number)
/** 12.3K, where there is no room for more. */
export const compact = (number: number): string => short.format(number)
/** 12.5%, 0.04%: what is there is never said to be nothing. */
export const percent = (ratio: number): string => (ratio < 0.001 ? smallPart : part).format(ratio)
/** From millionths of whatever unit the tenant's prices are in. */
export const cost = (micros: number): string => units.format(micros / 1_000_000)

/** 0.85 ms, 12.3 ms, 340 ms, 1.24 s. */
export function time(ms: number): string {
  if (ms >= 999.5) return `${hundredths.format(ms / 1000)} s`
  return `${(ms >= 100 ? whole : ms >= 10 ? tenths : hundredths).format(ms)} ms`
}

export const plural = (number: number, one: string, many = `${one}s`): string =>
  `${count(number)} ${number === 1 ? one : many}`

export const shortDay = (day: string): string => dayAndMonth.format(beginOf(day))
export const fullDay = (day: string): string => longDay.format(beginOf(day))

export function span(range: Range): string {
  const [first, last] = [fullDay(range.start_date), fullDay(range.end_date)]
  return first === last ? first : `${first} to ${last} (${plural(daysOf(range).length, 'day')})`
}
