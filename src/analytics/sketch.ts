/**
 * How durations are distributed, in little space: a logarithmic histogram (DDSketch, Masson, Rim and Lee, VLDB 2019).
 * Bucket n counts what lies above 1.04^(n-1) and not above 1.04^n microseconds; read as the value in the relative middle,
 * a quantile is at most 1.97 percent off. Counts are whole numbers and merging adds them, in any order, so that what is
 * kept can be compared with what is counted again, to the unit.
 *
 * Ours, in the size of one page, because @datadog/sketches-js keeps floating-point counts and speaks protobuf.
 */
export type Sketch = number[]

const base = 1.04
const logOfBase = Math.log(base)
const middle = 2 / (1 + base)
/** What takes longer than a day is counted as if it took one. */
const last = 645

/** Of whole microseconds. What took no time at all has a bucket of its own below all others. */
export function bucketOf(us: number): number {
  if (us < 1) return 0
  // The logarithm of an exact power may be a little too large; no two durations are as close as what is taken off.
  return Math.min(last, Math.ceil(Math.log(us) / logOfBase - 1e-9) + 1)
}

/** The greatest duration that is counted in a bucket, in microseconds. */
export const edgeOf = (bucket: number): number => (bucket === 0 ? 0 : base ** (bucket - 1))

export function add(sketch: Sketch, us: number): void {
  addTo(sketch, bucketOf(us), 1)
}

/** Adds all of `other`, as it is kept, to `sketch`. */
export function merge(sketch: Sketch, other: string): Sketch {
  const kept = JSON.parse(other) as number[]
  const before = (kept[0] ?? 0) - 1
  grow(sketch, before + kept.length)
  for (let n = 1; n < kept.length; n++) sketch[before + n] = (sketch[before + n] ?? 0) + (kept[n] ?? 0)
  return sketch
}

export function addTo(sketch: Sketch, bucket: number, count: number): void {
  grow(sketch, bucket + 1)
  sketch[bucket] = (sketch[bucket] ?? 0) + count
}

/** Without holes, which would make arrays slow. */
function grow(sketch: Sketch, length: number): void {
  while (sketch.length < length) sketch.push(0)
}

/** For each `part` (0 to 1), the value that so many of all do not exceed, in microseconds; 0 where there are none. */
export function quantiles(sketch: Sketch, parts: readonly number[]): number[] {
  const total = sketch.reduce((sum, count) => sum + count, 0)
  return parts.map((part) => {
    let rank = Math.max(1, Math.ceil(total * part))
    const bucket = sketch.findIndex((count) => {
      rank -= count
      return rank <= 0
    })
    return bucket < 1 ? 0 : edgeOf(bucket) * middle
  })
}

/** As it is kept in a column: the least bucket, then the counts from there on. */
export function encode(sketch: Sketch): string {
  const least = sketch.findIndex((count) => count > 0)
  return least === -1 ? '[]' : JSON.stringify([least, ...sketch.slice(least)])
}

/** Whether a text is one that `encode` could have made. */
export function isEncoded(text: string): boolean {
  if (!/^\[(\d{1,3}(,\d{1,15})+)?\]$/.test(text)) return false
  const [least = 0, ...counts] = JSON.parse(text) as number[]
  return least + counts.length <= last + 1
}
