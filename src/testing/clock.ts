/** A clock that stands still until a test moves it. */
export class ManualClock {
  #now: number

  constructor(start: Date) {
    this.#now = start.getTime()
  }

  now(): Date {
    return new Date(this.#now)
  }

  /** Moves the clock, backwards too. */
  advance({
    days = 0,
    hours = 0,
    minutes = 0,
    seconds = 0,
    ms = 0,
  }: {
    days?: number
    hours?: number
    minutes?: number
    seconds?: number
    ms?: number
  }): void {
    this.#now += (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms
  }
}
