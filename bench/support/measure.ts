/** A short run that shows whether the program works; its figures say little. */
export const quick = process.argv.includes('--quick')

/** What several rounds of one measurement gave. A single figure says nothing on a machine that others use too. */
export type Spread = { median: number; min: number; max: number }

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((one, other) => one - other)
  const [below, above] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]]
  return {
    median: ((below ?? Number.NaN) + (above ?? Number.NaN)) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  }
}

/** The value that `part` (0 to 1) of the ascending `sorted` do not exceed. */
export const quantile = (sorted: ArrayLike<number>, part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN

/**
 * Runs every subject once in each round, A B A B, so that what disturbs the machine disturbs all of them.
 * The first round warms up and is not counted.
 */
export async function interleaved<Name extends string, Result>(
  rounds: number,
  subjects: Record<Name, () => Promise<Result>>,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(subjects) as Name[]
  const results = {} as Record<Name, Result[]>
  for (const name of names) results[name] = []
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const result = await subjects[name]()
      if (round > 0) results[name].push(result)
    }
  }
  return results
}

/** `0.42 (0.40 to 0.55)`: the median, and between what it lies. */
export const show = ({ median, min, max }: Spread, digits: number): string =>
  `${number(median, digits)} (${number(min, digits)} to ${number(max, digits)})`

export const number = (value: number, digits: number): string =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** A figure beside what it has to be. */
export const verdict = (value: number, rule: 'at most' | 'at least', limit: number, unit: string): string => {
  const kept = rule === 'at most' ? value <= limit : value >= limit
  return `${rule} ${limit.toLocaleString('en')} ${unit}: ${kept ? 'kept' : '**missed**'}`
}

/** Prints one part of bench/README.md: every program's output is Markdown. */
export function report(
  title: string,
  about: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const table = [line(head), line(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)]
  console.log(`## ${title}\n\n${about}\n\n${table.join('\n')}\n`)
}
