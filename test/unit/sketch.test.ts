import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { add, bucketOf, edgeOf, encode, isEncoded, merge, quantiles, type Sketch } from '../../src/analytics/sketch'

const sketchOf = (durations: readonly number[]): Sketch => {
  const sketch: Sketch = []
  for (const us of durations) add(sketch, us)
  return sketch
}

const kept = (durations: readonly number[]) => encode(sketchOf(durations))

/** The nearest rank: the least value that `part` of all do not exceed. */
const exact = (durations: readonly number[], part: number): number =>
  durations.toSorted((one, other) => one - other)[Math.max(1, Math.ceil(durations.length * part)) - 1] ?? 0

const durations = fc.array(fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 3_600_000_000 })), {
  minLength: 1,
  maxLength: 300,
})
const parts = fc.constantFrom(0.5, 0.95, 0.99, 1)

describe('a quantile', () => {
  test('is within two percent of the exact one', () => {
    fc.assert(
      fc.property(durations, parts, (all, part) => {
        const [found = -1] = quantiles(sketchOf(all), [part])
        const wanted = exact(all, part)
        expect(Math.abs(found - wanted)).toBeLessThanOrEqual(wanted * 0.02)
      }),
      { numRuns: 1000 },
    )
  })

  test('of nothing, and of requests that took no time, is no time', () => {
    expect(quantiles([], [0.5, 1])).toEqual([0, 0])
    expect(quantiles(sketchOf([0, 0, 0]), [0.5, 0.99])).toEqual([0, 0])
  })

  test('does not depend on the order in which parts were merged', () => {
    fc.assert(
      fc.property(durations, durations, durations, (one, two, three) => {
        const left = merge(merge(sketchOf(one), kept(two)), kept(three))
        const right = merge(sketchOf(three), encode(merge(sketchOf(two), kept(one))))
        const whole = sketchOf([...one, ...two, ...three])
        expect(encode(left)).toBe(encode(whole))
        expect(encode(right)).toBe(encode(whole))
      }),
    )
  })
})

describe('a bucket', () => {
  test('holds what is above the one before and not above its own edge', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 3_600_000_000 }), (us) => {
        const bucket = bucketOf(us)
        expect(us).toBeLessThanOrEqual(edgeOf(bucket) * (1 + 1e-9))
        expect(us).toBeGreaterThan(edgeOf(bucket - 1) * (1 - 1e-9))
      }),
    )
  })
})

describe('a sketch in a column', () => {
  test('is the same when it is read', () => {
    fc.assert(
      fc.property(durations, (all) => {
        expect(merge([], kept(all))).toEqual(sketchOf(all))
      }),
    )
  })

  test('is short: a day of a busy tenant takes less than two kilobytes', () => {
    const random = Array.from({ length: 100_000 }, (_, n) => Math.round(500 * 1.00012 ** n))

    expect(encode(sketchOf(random)).length).toBeLessThan(2048)
  })
})

describe('a sketch as it is kept', () => {
  test('is known for one, whatever it is of', () => {
    fc.assert(
      fc.property(durations, (all) => isEncoded(kept(all))),
      { numRuns: 300 },
    )
    expect([[], [0], [Number.MAX_SAFE_INTEGER]].map((all) => isEncoded(kept(all)))).toEqual([true, true, true])
  })

  test.each([
    '',
    'null',
    '{}',
    '[1]',
    '[1,-1]',
    '[1,1.5]',
    '[1,1e9]',
    '[1, 1]',
    '[645,1,1]',
    '[1000000000,1]',
    '["1",1]',
  ])('is not %j', (text) => {
    expect(isEncoded(text)).toBe(false)
  })
})
