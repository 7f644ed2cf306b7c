import { notFound } from './errors'

/** Where the time comes from; a test moves it by hand. */
export type Clock = { now(): Date }

export const systemClock: Clock = { now: () => new Date() }

/** A UUID v7: sorts by the time it was made, on both databases. */
export const newId = (clock: Clock): string => Bun.randomUUIDv7('hex', clock.now())

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export const isId = (value: string): boolean => uuid.test(value)

/** An id from outside, in the spelling of the database. What cannot be an id is not found, like an id that nobody has. */
export function parseId(value: string, what: string): string {
  const id = String(value).toLowerCase() // a path that cannot be decoded arrives as null
  if (!isId(id)) throw notFound(what)
  return id
}
