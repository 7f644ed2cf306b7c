import { notFound } from './errors'

/** Where the time comes from; a test moves it by hand. */
export type Clock = { now(): Date }

export const systemClock: Clock = { now: () => new Date() }

/**
 * A UUID v7: sorts by the time it was made, on both databases, and by the order of calls within a millisecond
 * (RFC 9562, 6.2, method 1: 24 bits of counter, 48 of chance). The counter does not begin again with each millisecond,
 * so the order holds under a clock that stands still or is set back.
 */
export function newId(clock: Clock): string {
  made = (made + 1) % 2 ** 24
  const count = made.toString(16).padStart(6, '0')
  const id = Bun.randomUUIDv7('hex', clock.now())
  return `${id.slice(0, 15)}${count.slice(0, 3)}-8${count.slice(3)}${id.slice(23)}`
}

let made = 0

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export const isId = (value: string): boolean => uuid.test(value)

/** An id from outside, in the spelling of the database. What cannot be an id is not found, like an id that nobody has. */
export function parseId(value: string, what: string): string {
  const id = String(value).toLowerCase() // a path that cannot be decoded arrives as null
  if (!isId(id)) throw notFound(what)
  return id
}
