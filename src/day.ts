import { invalid } from './errors'
import type { Clock } from './ids'

export const dayMs = 24 * 60 * 60 * 1000
const mostDays = 366
const daysByDefault = 30
/** No day is before it: see `isDay`. */
const firstDay = '1970-01-01'

/** The UTC day of a moment, as YYYY-MM-DD: the same words in code, in columns and on the wire; they sort by time. */
export const dayOf = (at: Date): string => at.toISOString().slice(0, 10)

export const beginOf = (day: string): Date => new Date(`${day}T00:00:00.000Z`)

export const dayAfter = (day: string, days = 1): string => dayOf(new Date(beginOf(day).getTime() + days * dayMs))

/** A day of the calendar: no 30th of February, no month 13, no year before 1970. */
export function isDay(text: string): boolean {
  if (!/^(19[7-9]\d|[2-9]\d{3})-\d\d-\d\d$/.test(text)) return false
  const at = beginOf(text)
  return !Number.isNaN(at.getTime()) && dayOf(at) === text
}

/** Both days belong to it. */
export type Range = { start_date: string; end_date: string }

/** What was asked for; the last thirty days, today being one, where nothing was. Throws invalid_request. */
export function rangeOf(asked: Partial<Range>, clock: Clock): Range {
  const today = dayOf(clock.now())
  const end_date = asked.end_date ?? (asked.start_date === undefined ? today : later(asked.start_date, today))
  const start_date = asked.start_date ?? later(dayAfter(end_date, 1 - daysByDefault), firstDay)
  const refuse = (message: string) => invalid([{ in: 'query', path: '/start_date', message }])
  if (start_date > end_date) throw refuse('must not be after end_date')
  if (dayCount({ start_date, end_date }) > mostDays)
    throw refuse(`must not be more than ${mostDays} days before the end`)
  return { start_date, end_date }
}

const later = (one: string, other: string) => (one > other ? one : other)

const dayCount = ({ start_date, end_date }: Range): number =>
  Math.round((beginOf(end_date).getTime() - beginOf(start_date).getTime()) / dayMs) + 1

/** Every day of a range, the first first. */
export const daysOf = (range: Range): string[] =>
  Array.from({ length: dayCount(range) }, (_, n) => dayAfter(range.start_date, n))

/** No id that was made before this moment is as great, and none made at it or after it is less (UUID v7 begins with its time). */
export function leastIdAt(at: Date): string {
  const hex = at.getTime().toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}
