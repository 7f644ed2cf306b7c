import { csvLine } from '../../analytics/csv'
import { lastTime } from '../../jobs/cron'
import type { DailyUsage } from '../plugin'

const dayMs = 24 * 60 * 60 * 1000
const fewest = 7
const most = 31

/**
 * The whole UTC days that a run writes, the earliest first: those that ended since the run before it was due, but at
 * least the last seven, so that figures that came late and runs that the server slept through are made up for.
 */
export function daysOf(cron: string, at: Date): string[] {
  const today = startOfDay(at)
  const before = lastTime(cron, new Date(at.getTime() - 1)) ?? at
  const count = Math.min(most, Math.max(fewest, (today - startOfDay(before)) / dayMs))
  return Array.from({ length: count }, (_, n) => new Date(today - (count - n) * dayMs).toISOString().slice(0, 10))
}

const startOfDay = (at: Date): number => Math.floor(at.getTime() / dayMs) * dayMs

const columns = ['day', 'model', 'replies', 'prompt_tokens', 'completion_tokens', 'unique_users'] as const

/** A day's file: the same text for the same figures, whatever order they come in. A day without use has one too. */
export function dayFile(format: 'csv' | 'json', day: string, usage: readonly DailyUsage[]): string {
  const rows = usage.filter((row) => row.day === day).sort((one, other) => (one.model < other.model ? -1 : 1))
  return format === 'csv'
    ? [columns, ...rows.map((row) => columns.map((column) => row[column]))].map(csvLine).join('')
    : `${JSON.stringify(rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column]]))))}\n`
}
