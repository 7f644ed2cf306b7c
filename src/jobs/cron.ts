import { Cron } from 'croner'
import { dayMs } from '../day'

/** Longer than any that makes sense; what is longer only costs time to read. */
const longest = 100

/** True for a cron expression of five fields (or `@daily` and its like) that comes due again and again, at most once a minute. */
export const isCron = (text: string): boolean => read(text) !== undefined

/** When it is due next after a moment, in UTC. Throws for what is no cron expression. */
export function nextTime(cron: string, after: Date): Date {
  const next = read(cron)?.nextRun(after)
  if (!next) throw new Error(`This is no cron expression: ${cron.slice(0, longest)}`)
  return next
}

/** The same of one that is stored, where nobody can be told: what is no cron expression is looked at again in a day. */
export const nextTimeOf = (stored: string, after: Date): Date =>
  isCron(stored) ? nextTime(stored, after) : new Date(after.getTime() + dayMs)

/** When it was due last, at that moment or before. */
export function lastTime(cron: string, at: Date): Date | undefined {
  return read(cron)?.previousRuns(1, new Date(at.getTime() + 1))[0]
}

/** Undefined for what croner does not take, or takes for a single date, and for days that never come (30 February). */
function read(text: string): Cron | undefined {
  if (text.length > longest) return undefined
  try {
    // Without a function it only reckons: no timer, no clock.
    const cron = new Cron(text, { mode: '5-part', utcOffset: 0 })
    return cron.getOnce() === null && cron.nextRun(anyDay) !== null ? cron : undefined
  } catch {
    return undefined
  }
}

const anyDay = new Date('2026-01-01T00:00:00.000Z')
