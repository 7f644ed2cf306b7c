/**
 * How durations are distributed, in little space: a logarithmic histogram (DDSketch, Masson, Rim and Lee, VLDB 2019).
 * Bucket n counts what lies above 1.04^(n-1) and not above 1.04^n microseconds; read as the value in the relative middle,
 * a quantile is at most 1.97 percent off. Counts are whole numbers and merging adds them, in any order, so that what is
 * kept can be compared with what is counted again, to the unit.
 *
 * Ours, in the size of one page, because @datadog/sketches-js keeps floating-point counts and speaks protobuf.
 */
export type Sketch = Map<number, number>

const base = 1.04
const logOfBase = Math.log(base)
const middle = 2 / (1 + base)

/** What took no time at all has a bucket of its own below all others. */
const none = -1

export function bucketOf(us: number): number {
  if (us < 1) return none
  // Rounding of the logarithm must not push an exact power over its edge; durations are whole, so this is far below one.
  return Math.ceil(Math.log(us) / logOfBase - 1e-9)
}

export function add(sketch: Sketch, us: number, count = 1): void {
  const bucket = bucketOf(us)
  sketch.set(bucket, (sketch.get(bucket) ?? 0) + count)
}

/** Adds all of `other` to `sketch`. */
export function merge(sketch: Sketch, other: Sketch): Sketch {
  for (const [bucket, count] of other) sketch.set(bucket, (sketch.get(bucket) ?? 0) + count)
  return sketch
}

/** The value that a `part` (0 to 1) of all do not exceed, in microseconds; null where there are none. */
export function quantile(sketch: Sketch, part: number): number | null {
  const buckets = [...sketch].sort(([one], [other]) => one - other)
  const total = buckets.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return null
  let rank = Math.max(1, Math.ceil(total * part))
  for (const [bucket, count] of buckets) {
    rank -= count
    if (rank <= 0) return bucket === none ? 0 : base ** bucket * middle
  }
  return null
}

/** As it is kept in a column: the least bucket, then the counts from there on, zeros included, which is quick to read. */
export function encode(sketch: Sketch): string {
  const buckets = [...sketch.keys()]
  if (buckets.length === 0) return '[]'
  const [least, most] = [Math.min(...buckets), Math.max(...buckets)]
  return JSON.stringify([least, ...Array.from({ length: most - least + 1 }, (_, n) => sketch.get(least + n) ?? 0)])
}

export function decode(text: string): Sketch {
  const [least = 0, ...counts]: number[] = JSON.parse(text)
  const sketch: Sketch = new Map()
  for (const [n, count] of counts.entries()) if (count > 0) sketch.set(least + n, count)
  return sketch
}
