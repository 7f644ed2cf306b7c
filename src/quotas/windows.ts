/** A stretch of UTC time that a limit counts in. */
export type Window = { readonly startsAt: Date; readonly endsAt: Date }
export type Month = Window & {
  /** `2026-03`. */
  readonly name: string
}

const minuteMs = 60_000

export function minuteOf(now: Date): Window {
  const startsAt = new Date(Math.floor(now.getTime() / minuteMs) * minuteMs)
  return { startsAt, endsAt: later(startsAt) }
}

/** The minute after the one that begins then. */
export const later = (startsAt: Date): Date => new Date(startsAt.getTime() + minuteMs)

export function monthOf(now: Date): Month {
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()]
  return {
    name: now.toISOString().slice(0, 7),
    startsAt: new Date(Date.UTC(year, month)),
    endsAt: new Date(Date.UTC(year, month + 1)),
  }
}

/** Whole seconds, and never none: who waits that long is in the next window. */
export const secondsLeft = ({ endsAt }: Window, now: Date): number =>
  Math.max(1, Math.ceil((endsAt.getTime() - now.getTime()) / 1000))

export const secondsOf = ({ startsAt, endsAt }: Window): number => (endsAt.getTime() - startsAt.getTime()) / 1000

/** No id that was made at this time or later is smaller: see newId. */
export function firstIdAt(time: Date): string {
  const ms = time.getTime().toString(16).padStart(12, '0')
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7000-8000-000000000000`
}
