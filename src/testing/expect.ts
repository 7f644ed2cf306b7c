import { expect as bunExpect } from 'bun:test'

/**
 * `expect` of bun:test, without three mistakes that `toMatchObject` makes in bun 1.4.5: it compares an object that it
 * meets twice only once, it takes all dates for equal (and all maps, sets, regular expressions and errors), and it writes
 * matchers such as `expect.any(String)` into what it compares.
 */
export const expect: typeof bunExpect = new Proxy(bunExpect, {
  apply: (target, self, [received, ...rest]: [unknown, ...unknown[]]) =>
    guarded((value) => Reflect.apply(target, self, [value, ...rest]) as Matchers, received, 'is'),
})

type Matchers = { toMatchObject(expected: unknown): unknown }
/** What a matcher says of the value; what a promise comes to is not known here. */
type Says = 'is' | 'is not' | 'of a promise'

function guarded(make: (received: unknown) => Matchers, received: unknown, says: Says): Matchers {
  return new Proxy(make(received), {
    get(target, name) {
      if (name === 'not' || name === 'resolves' || name === 'rejects') {
        const next = name === 'not' && says === 'is' ? 'is not' : 'of a promise'
        const own = name !== 'not' && received instanceof Promise ? copiedWhenSettled(received) : received
        return guarded((value) => Reflect.get(make(value), name) as Matchers, own, next)
      }
      if (name === 'toMatchObject') {
        return (expected: unknown) => {
          const own = copied(expected)
          if (says === 'of a promise') return target.toMatchObject(own)
          const ignored = differenceIgnored(received, expected)
          if (ignored && says === 'is not') return undefined
          if (ignored) return bunExpect(ignored.received).toEqual(ignored.expected)
          // A tail call, so that bun shows the line of the test and not this one.
          return make(copied(received)).toMatchObject(own)
        }
      }
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? Function.prototype.bind.call(value, target) : value
    },
  })
}

/** What is inside a plain object or a list; undefined for all else. */
function partsOf(value: unknown): [string, unknown][] | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const prototype = Object.getPrototypeOf(value)
  const plain = prototype === Object.prototype || prototype === Array.prototype || prototype === null
  return plain ? Object.entries(value) : undefined
}

/** A tree of what may be a net. Matchers and instances of classes stay what they are. */
function copied(value: unknown, around: readonly unknown[] = []): unknown {
  const parts = partsOf(value)
  // A cycle stays one: the comparison it was meant for ends there.
  if (!parts || around.includes(value)) return value
  const inside = [...around, value]
  if (Array.isArray(value)) return value.map((part) => copied(part, inside))
  const entries = parts.map(([key, part]) => [key, copied(part, inside)])
  return Object.assign(Object.create(Object.getPrototypeOf(value)), Object.fromEntries(entries))
}

const copiedWhenSettled = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => copied(value),
    (reason) => Promise.reject(copied(reason)),
  )

const isIgnored = (value: unknown): boolean =>
  value instanceof Date ||
  value instanceof RegExp ||
  value instanceof Map ||
  value instanceof Set ||
  value instanceof Error

/** The first place where bun sees no difference and there is one. */
function differenceIgnored(
  received: unknown,
  expected: unknown,
  around: readonly unknown[] = [],
): { received: unknown; expected: unknown } | undefined {
  if (isIgnored(expected)) return isEqual(received, expected) ? undefined : { received, expected }
  const parts = partsOf(expected)
  if (!parts || around.includes(expected) || typeof received !== 'object' || received === null) return undefined
  for (const [key, part] of parts) {
    if (!(key in received)) continue
    const found = differenceIgnored(Reflect.get(received, key), part, [...around, expected])
    if (found) return found
  }
  return undefined
}

function isEqual(received: unknown, expected: unknown): boolean {
  try {
    bunExpect(received).toEqual(expected)
    return true
  } catch {
    return false
  }
}
