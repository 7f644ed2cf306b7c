import { Kind, type TProperties, type TSchema, Type, TypeRegistry } from '@sinclair/typebox'
import { isDay } from './day'

/** An object with these fields and no others: an unknown one is refused in a body, and cannot leave in an answer. */
export const shape = <T extends TProperties>(fields: T, options: { description?: string } = {}) =>
  Type.Object(fields, { ...options, additionalProperties: false })

export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** One of a few words. */
export const oneOf = <const T extends string>(...words: T[]) =>
  Type.Unsafe<T>({ [Kind]: 'OneOf', type: 'string', enum: words }) // not Type.String, whose kind would win and check less
TypeRegistry.Set<{ enum: string[] }>('OneOf', (schema, value) => schema.enum.some((word) => word === value))

/** A moment: a Date in the program, ISO 8601 in UTC on the wire. */
export const Timestamp = Type.Unsafe<Date>({ [Kind]: 'Timestamp', type: 'string', format: 'date-time' })
TypeRegistry.Set('Timestamp', (_schema, value) => value instanceof Date)

/** A moment that is ISO 8601 in the program too: see `written` in database/columns.ts. */
export const WrittenTimestamp = Type.Unsafe<string>({ [Kind]: 'WrittenTimestamp', type: 'string', format: 'date-time' })
TypeRegistry.Set('WrittenTimestamp', (_schema, value) => typeof value === 'string')

/** A day of the calendar, in UTC. */
export const Day = Type.Unsafe<string>({
  [Kind]: 'Day',
  type: 'string',
  format: 'date',
  error: 'must be a day of the calendar as YYYY-MM-DD',
})
TypeRegistry.Set('Day', (_schema, value) => typeof value === 'string' && isDay(value))

/** An answer that is made while it is sent. */
export const Download = Type.Unsafe<Response>({
  [Kind]: 'Download',
  description: 'A file',
  anyOf: [
    { type: 'string', contentMediaType: 'text/csv' },
    { type: 'array', items: { type: 'object', additionalProperties: true } },
  ],
})
TypeRegistry.Set('Download', (_schema, value) => value instanceof Response)

export const Id = Type.String({ description: 'UUID v7' })

type Bounds = { minimum: number; maximum: number; default?: number }

/** A number in a query, written in digits. Elysia's own does not say which parameter was refused, and takes 0x10. */
const wholeNumber = (bounds: Bounds) => {
  const error = `must be a whole number from ${bounds.minimum} to ${bounds.maximum}`
  const digits = Type.Unsafe<string>({ [Kind]: 'WholeNumber', type: 'integer', error, ...bounds })
  return Type.Unsafe<number>(Type.Transform(digits).Decode(Number).Encode(String))
}
TypeRegistry.Set<Bounds>('WholeNumber', ({ minimum, maximum }, value) => {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  return typeof number === 'number' && number >= minimum && number <= maximum
})

/** Which part of a list: by number, or by the opaque cursor from the `Link` header of the page before. */
export const Page = {
  limit: Type.Optional(wholeNumber({ minimum: 1, maximum: 100, default: 20 })),
  offset: Type.Optional(wholeNumber({ minimum: 0, maximum: 1_000_000 })),
  cursor: Type.Optional(Type.String({ maxLength: 200 })),
}

/** An id or name in a path. What is none is simply not found, so anything passes here, even what cannot be decoded. */
export const PathPart = Type.Unsafe<string>({ [Kind]: 'PathPart', type: 'string' })
TypeRegistry.Set('PathPart', () => true)

export const IdPath = Type.Object({ id: PathPart })

/** As JSON. A page has a hundred of them. Of what is stored, those that are longer are still shown. */
export const longestMetadata = 16_384

/** The pattern bounds the keys: TypeBox does not look at a key's `maxLength`. */
export const Metadata = Type.Record(Type.String({ pattern: '^[\\s\\S]{0,128}$' }), Type.Unknown(), {
  additionalProperties: false,
  description: `Anything JSON, kept as it is given (numbers as IEEE 754 doubles: send an id of more than 15 digits as text); keys of at most 128 characters, ${longestMetadata} characters in all`,
})
