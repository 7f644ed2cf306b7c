import type * as FastCheck from 'fast-check'

type Arbitrary<T> = FastCheck.Arbitrary<T>
export type Fc = typeof FastCheck

/** A schema of TypeBox's, as far as it is read here. */
export type Schema = {
  readonly [kind]?: string
  readonly [optional]?: unknown
  readonly properties?: Record<string, Schema>
  readonly additionalProperties?: unknown
  readonly patternProperties?: Record<string, Schema>
  readonly items?: Schema | readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly pattern?: string
  readonly format?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly minItems?: number
  readonly maxItems?: number
}

/** A kind of an app's own, as it travels: a moment is a string there, and a number in a query is digits. */
export type OwnKind = {
  values(schema: Schema, fc: Fc): Arbitrary<unknown>
  accepts(value: unknown, schema: Schema): boolean
}
export type OwnKinds = Record<string, OwnKind>

export const kind: unique symbol = Symbol.for('TypeBox.Kind') as never
const optional: unique symbol = Symbol.for('TypeBox.Optional') as never

const kindOf = (schema: Schema): string => schema[kind] ?? 'of no kind'
const isOptional = (schema: Schema): boolean => schema[optional] !== undefined

/** Longer strings are not made: a limit above this is not tried from inside. */
const longest = 40_000

/** What there is, by the name of the field that may say it: made-up ids and cursors lead nowhere. */
export type Known = Record<string, readonly string[]>

/**
 * Values that the schema takes, in which fields at any depth often say what is known. Throws for a kind that is neither
 * TypeBox's nor among `own`.
 */
export function valuesOf(schema: Schema, fc: Fc, own: OwnKinds, known: Known = {}): Arbitrary<unknown> {
  const inside = (each: Schema) => valuesOf(each, fc, own, known)
  const ownKind = own[kindOf(schema)]
  if (ownKind) return ownKind.values(schema, fc)
  switch (kindOf(schema)) {
    case 'Object':
      return objects(schema, fc, own, known)
    case 'Record':
      return records(schema, fc, inside)
    case 'String':
      return strings(schema, fc)
    case 'Integer':
      return numbers(schema, fc, true)
    case 'Number':
      return numbers(schema, fc, false)
    case 'Boolean':
      return fc.boolean()
    case 'Null':
      return fc.constant(null)
    case 'Literal':
      return fc.constant(schema.const)
    case 'UnionEnum':
      return fc.constantFrom(...(schema.enum ?? []))
    case 'Union': {
      const { members, spelled } = alternatives(schema, own)
      const values = fc.oneof(...members.map(inside))
      return spelled ? fc.oneof(values, values.map(textOf)) : values
    }
    case 'Array':
      return fc.array(inside(schema.items as Schema), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 5, 100),
      })
    case 'Tuple':
      return fc.tuple(...((schema.items ?? []) as readonly Schema[]).map(inside))
    case 'Unknown':
    case 'Any':
      return fc.jsonValue({ maxDepth: 3 })
    case 'Void':
    case 'Undefined':
      return fc.constant(undefined)
    default:
      throw unknownKind(schema)
  }
}

/** Where and why a value is not what the schema says; undefined where it is. */
export function mismatch(schema: Schema, value: unknown, own: OwnKinds, path = ''): string | undefined {
  const wrong = (why: string) => `${path || 'the whole'} ${why}`
  const unless = (right: boolean, why: string) => (right ? undefined : wrong(why))
  const ownKind = own[kindOf(schema)]
  if (ownKind) return unless(ownKind.accepts(value, schema), `is no ${kindOf(schema)}`)
  switch (kindOf(schema)) {
    case 'Object':
      return isObject(value) ? objectMismatch(schema, value, own, path) : wrong('is no object')
    case 'Record': {
      if (!isObject(value)) return wrong('is no object')
      const [[pattern, values] = ['', {}]] = Object.entries(schema.patternProperties ?? {})
      for (const [key, each] of Object.entries(value)) {
        if (!new RegExp(pattern).test(key)) return `${path}/${key} has a key that does not match ${pattern}`
        const found = mismatch(values, each, own, `${path}/${key}`)
        if (found !== undefined) return found
      }
      return undefined
    }
    case 'String': {
      if (typeof value !== 'string') return wrong('is no string')
      if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value))
        return wrong(`does not match ${schema.pattern}`)
      return unless(isWithin(value.length, schema.minLength, schema.maxLength), 'is too short or too long')
    }
    case 'Integer':
    case 'Number': {
      if (typeof value !== 'number' || !Number.isFinite(value)) return wrong('is no number')
      if (kindOf(schema) === 'Integer' && !Number.isInteger(value)) return wrong('is no integer')
      const { minimum, maximum, exclusiveMinimum: above = -Infinity, exclusiveMaximum: below = Infinity } = schema
      return unless(isWithin(value, minimum, maximum) && value > above && value < below, 'is too small or too large')
    }
    case 'Boolean':
      return unless(typeof value === 'boolean', 'is no boolean')
    case 'Null':
      return unless(value === null, 'is not null')
    case 'Literal':
      return unless(value === schema.const, `is not ${JSON.stringify(schema.const)}`)
    case 'UnionEnum':
      return unless(schema.enum?.includes(value) === true, `is none of ${JSON.stringify(schema.enum)}`)
    case 'Union': {
      const { members, spelled } = alternatives(schema, own)
      const meant = spelled && typeof value === 'string' ? meaningOf(value) : value
      const found = members.map((each) => mismatch(each, meant, own, path))
      return found.includes(undefined) ? undefined : found.join(', and ')
    }
    case 'Array':
    case 'Tuple': {
      if (!Array.isArray(value)) return wrong('is no array')
      const { items = {}, minItems, maxItems } = schema
      if (!isWithin(value.length, minItems, maxItems)) return wrong('has too few or too many items')
      const found = value.map((each, at) =>
        mismatch(isList(items) ? (items[at] ?? {}) : items, each, own, `${path}/${at}`),
      )
      return found.find((each) => each !== undefined)
    }
    case 'Unknown':
    case 'Any':
      return undefined
    case 'Void':
    case 'Undefined':
      return unless(value === undefined, 'is not empty')
    default:
      throw unknownKind(schema)
  }
}

/**
 * What a union takes on the wire. Elysia's `t.Integer()`, `t.BooleanString()`, `t.ObjectString()` and the like are unions of
 * a value and a string of a format of Elysia's, which is the value's text and held to what the value is held to.
 */
function alternatives({ anyOf = [] }: Schema, own: OwnKinds): { members: Schema[]; spelled: boolean } {
  // `t.Date()` takes a Date too, which no JSON has.
  const sent = anyOf.filter((each) => kindOf(each) !== 'Date' || own.Date !== undefined)
  const members = sent.filter(({ format = '' }) => !spellings.has(format))
  return members.length > 0 ? { members, spelled: members.length < sent.length } : { members: sent, spelled: false }
}

const spellings = new Set(['integer', 'numeric', 'boolean', 'ObjectString', 'ArrayString'])

const textOf = (value: unknown): unknown => (typeof value === 'string' ? value : JSON.stringify(value))

/** Elysia reads digits as Number() does, and all else as JSON. A text that means nothing stands for itself. */
function meaningOf(text: string): unknown {
  if (text !== '' && !Number.isNaN(Number(text))) return Number(text)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

type WrongOptions = {
  unknownFields?: 'refused' | 'dropped' | undefined
  /** What else has to be true of a wrong value. */
  isWrong?(value: unknown): boolean
}

export const unknownField = 'no-such-field'

/**
 * Values that are nearly right: one field missing, unknown or of another kind or size, or the whole is something else.
 * Undefined where the schema takes all of them.
 */
export function wrongValuesOf(
  schema: Schema,
  fc: Fc,
  own: OwnKinds,
  { unknownFields = 'refused', isWrong = () => true }: WrongOptions = {},
): Arbitrary<unknown> | undefined {
  const { properties = {} } = schema
  const right = valuesOf(schema, fc, own) as Arbitrary<Record<string, unknown>>
  const broken = Object.entries(properties).flatMap(([name, field]) => [
    ...(isOptional(field) ? [] : [right.map(({ [name]: _, ...rest }): unknown => rest)]),
    fc.tuple(right, fc.constantFrom(...oddities(field))).map(([value, odd]): unknown => ({ ...value, [name]: odd })),
  ])
  const nearlyRight = fc.oneof(
    fc.constantFrom(...oddities(schema)),
    ...(unknownFields === 'refused' ? [right.map((value): unknown => ({ ...value, [unknownField]: 1 }))] : []),
    ...broken,
  )
  const wrong = (value: unknown) => mismatch(schema, value, own) !== undefined && isWrong(value)
  // A filter that nothing passes would look for ever.
  return fc.sample(nearlyRight, { numRuns: 300, seed: 1 }).some(wrong) ? nearlyRight.filter(wrong) : undefined
}

/** One of each kind, and sizes just outside of the schema's. */
const oddities = ({ minLength = 0, maxLength, minimum, maximum }: Schema): unknown[] => [
  null,
  true,
  -1,
  0.5,
  1e300,
  '',
  'text',
  '\u0000',
  [],
  [[]],
  {},
  ...(minLength > 1 ? ['x'.repeat(minLength - 1)] : []),
  ...(maxLength !== undefined && maxLength < longest ? ['x'.repeat(maxLength + 1)] : []),
  ...(minimum !== undefined ? [minimum - 1] : []),
  ...(maximum !== undefined ? [maximum + 1] : []),
]

function objects({ properties = {} }: Schema, fc: Fc, own: OwnKinds, known: Known): Arbitrary<unknown> {
  const fields = Object.entries(properties)
  const values = Object.fromEntries(fields.map(([name, field]) => [name, valuesOf(field, fc, own, known)]))
  const made = fc.record(values, {
    requiredKeys: fields.filter(([, field]) => !isOptional(field)).map(([name]) => name),
  })
  const existing = fields.flatMap(([name, field]) => {
    const given = Object.hasOwn(known, name) ? (known[name] ?? []) : []
    const found = given.flatMap((text) => [text, meaningOf(text)]).filter((value) => !mismatch(field, value, own))
    return found.length > 0 ? [[name, fc.constantFrom(...new Set(found))] as const] : []
  })
  if (existing.length === 0) return made
  const some = fc.record(Object.fromEntries(existing), { requiredKeys: [] })
  return fc.tuple(made, some).map(([value, found]) => ({ ...value, ...found }))
}

function records(
  { patternProperties = {} }: Schema,
  fc: Fc,
  inside: (schema: Schema) => Arbitrary<unknown>,
): Arbitrary<unknown> {
  const [[pattern, values] = ['', {}]] = Object.entries(patternProperties)
  return fc.dictionary(fc.stringMatching(new RegExp(pattern)), inside(values), { maxKeys: 4, noNullPrototype: true })
}

function strings({ minLength = 0, maxLength = longest, pattern, format }: Schema, fc: Fc): Arbitrary<unknown> {
  if (format !== undefined) return formatted(format, fc)
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern, 'u'))
  const fits = (text: string) => isWithin(text.length, minLength, maxLength)
  const bounds = { minLength, maxLength: Math.min(maxLength, minLength + 40) }
  return fc
    .oneof(
      { withCrossShrink: true }, // whatever failed, the smallest plain text that fails too is what one wants to read
      { weight: 4, arbitrary: fc.string({ ...bounds, unit: 'grapheme' }) },
      { weight: 4, arbitrary: fc.string({ ...bounds, unit: 'binary' }) },
      { weight: 1, arbitrary: fc.constantFrom("'", '%', '_', '"', '\\', '<b>', '; drop table users', '../..') },
      ...(maxLength < longest ? [{ weight: 1, arbitrary: fc.constant('x'.repeat(maxLength)) }] : []),
    )
    .filter(fits)
}

function formatted(format: string, fc: Fc): Arbitrary<unknown> {
  switch (format) {
    case 'uuid':
      return fc.uuid()
    case 'email':
      return fc.emailAddress()
    case 'date-time':
      return fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })
        .map((date) => date.toISOString())
    case 'date':
      return fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })
        .map((date) => date.toISOString().slice(0, 10))
    default:
      throw new Error(
        `The contract fuzz does not know the string format "${format}": give the field a kind of its own, and its values in \`kinds\`.`,
      )
  }
}

function numbers(
  { minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema,
  fc: Fc,
  integer: boolean,
): Arbitrary<unknown> {
  if (integer) {
    const min = Math.max(minimum ?? -Number.MAX_SAFE_INTEGER, (exclusiveMinimum ?? -Infinity) + 1)
    const max = Math.min(maximum ?? Number.MAX_SAFE_INTEGER, (exclusiveMaximum ?? Infinity) - 1)
    return fc.integer({ min, max })
  }
  return fc.double({
    noNaN: true,
    noDefaultInfinity: true,
    min: exclusiveMinimum ?? minimum ?? -1e15,
    max: exclusiveMaximum ?? maximum ?? 1e15,
    minExcluded: exclusiveMinimum !== undefined,
    maxExcluded: exclusiveMaximum !== undefined,
  })
}

function objectMismatch(
  schema: Schema,
  value: Record<string, unknown>,
  own: OwnKinds,
  path: string,
): string | undefined {
  const { properties = {}, additionalProperties } = schema
  for (const [name, field] of Object.entries(properties)) {
    if (!Object.hasOwn(value, name) || value[name] === undefined) {
      // Elysia fills in the default before it looks.
      if (!isOptional(field) && field.default === undefined && mismatch(field, undefined, own) !== undefined)
        return `${path}/${name} is missing`
      continue
    }
    const found = mismatch(field, value[name], own, `${path}/${name}`)
    if (found !== undefined) return found
  }
  const unknown = Object.keys(value).find((name) => !Object.hasOwn(properties, name))
  return additionalProperties === false && unknown !== undefined ? `${path}/${unknown} is not declared` : undefined
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isList = (items: Schema | readonly Schema[]): items is readonly Schema[] => Array.isArray(items)
const isWithin = (size: number, least = -Infinity, most = Infinity) => size >= least && size <= most

const unknownKind = (schema: Schema) =>
  new Error(
    `The contract fuzz does not know the schema kind "${kindOf(schema)}" (${JSON.stringify(schema)}): say in \`kinds\` what values it has and which it accepts: kinds: { ${kindOf(schema)}: { values: (schema, fc) => ..., accepts: (value, schema) => ... } }.`,
  )
