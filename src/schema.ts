import { Kind, type TProperties, type TSchema, Type, TypeRegistry } from '@sinclair/typebox'
import { t } from 'elysia'

/** An object with these fields and no others: an unknown one is refused in a body, and cannot leave in an answer. */
export const shape = <T extends TProperties>(fields: T, options: { description?: string } = {}) =>
  Type.Object(fields, { ...options, additionalProperties: false })

export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** One of a few words. */
export const oneOf = <const T extends string>(...words: T[]) =>
  Type.Unsafe<T>(Type.String({ enum: words, [Kind]: 'OneOf' }))
TypeRegistry.Set<{ enum: string[] }>('OneOf', (schema, value) => schema.enum.some((word) => word === value))

/** A moment: a Date in the program, ISO 8601 in UTC on the wire. */
export const Timestamp = Type.Unsafe<Date>({ [Kind]: 'Timestamp', type: 'string', format: 'date-time' })
TypeRegistry.Set('Timestamp', (_schema, value) => value instanceof Date)

export const Id = Type.String({ description: 'UUID v7' })

/** Which part of a list: by number, or by the opaque cursor from the `Link` header of the page before. */
export const Page = {
  limit: Type.Optional(t.Integer({ minimum: 1, maximum: 100, default: 20 })),
  offset: Type.Optional(t.Integer({ minimum: 0, maximum: 1_000_000 })),
  cursor: Type.Optional(Type.String({ maxLength: 200 })),
}

/** A path with an id in it. What is no id is simply not found, so any text passes here. */
export const IdPath = Type.Object({ id: Type.String() })

export const Metadata = Type.Record(Type.String({ maxLength: 128 }), Type.Unknown(), {
  description: 'Anything JSON, kept as it is given',
})
