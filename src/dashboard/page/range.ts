import { dayAfter, dayOf, daysOf, isDay, type Range } from '../../day'

/** So many days up to today, or from one day to another; all in UTC, as the server counts. */
export type Choice = { days: number } | Range

export const presets = [7, 30, 90] as const
const otherwise: Choice = { days: 30 }
const mostDays = 366

export const today = (): string => dayOf(new Date())

export const rangeOf = (choice: Choice): Range =>
  'days' in choice ? { start_date: dayAfter(today(), 1 - choice.days), end_date: today() } : choice

/** What is wrong with two days as a range, in words; undefined when it is one. */
export function wrongWith({ start_date, end_date }: Range): string | undefined {
  if (!isDay(start_date) || !isDay(end_date)) return 'Choose both days.'
  if (start_date > end_date) return 'The first day must not be after the last.'
  if (daysOf({ start_date, end_date }).length > mostDays) return `Choose at most ${mostDays} days.`
  return undefined
}

/** The choice stands in the address (the token never does), so that a reload and a bookmark show the same days. */
export function readChoice(search: string): Choice {
  const query = new URLSearchParams(search)
  const days = presets.find((preset) => String(preset) === query.get('days'))
  if (days !== undefined) return { days }
  const range = { start_date: query.get('start_date') ?? '', end_date: query.get('end_date') ?? '' }
  return wrongWith(range) === undefined ? range : otherwise
}

export const writeChoice = (choice: Choice): string =>
  `?${new URLSearchParams('days' in choice ? { days: String(choice.days) } : choice)}`
