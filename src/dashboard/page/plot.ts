import uPlot from 'uplot'
import { beginOf } from '../../day'
import type { ChartProps } from './chart'
import { shortDay } from './words'

export type Tone = 'blue' | 'red' | 'teal' | 'amber' | 'purple'

const height = 190
const daySeconds = 24 * 60 * 60
/** 1, 2, 5, 10, ...: half a request is none. */
const wholeSteps = Array.from({ length: 13 }, (_, n) => [1, 2, 5].map((step) => step * 10 ** n)).flat()
/** So that lines can be told apart without colours, also where one lies on another. */
const dashes = [[6, 4], [], [2, 4]]
/** A logarithm has no zero; nothing is measured that takes less. */
const leastMs = 0.001

/** Draws into an element, tells which day the pointer is at, and returns how to take it away again. */
export function drawPlot(
  place: HTMLElement,
  { kind, days, series, isThere = () => true, sayShort }: ChartProps,
  onDay: (at: number | undefined) => void,
): () => void {
  const isTimes = kind === 'times'
  const colour = (name: string) => getComputedStyle(place).getPropertyValue(`--${name}`).trim()
  const font = `11px ${getComputedStyle(place).fontFamily}`
  const axis = { font, stroke: colour('muted'), ticks: { show: false }, border: { show: false } }
  const at = days.map((day) => beginOf(day).getTime() / 1000)
  const bars = uPlot.paths.bars?.({ size: [0.66, 28], radius: 0.12 })

  const plot = new uPlot(
    {
      width: Math.max(1, place.clientWidth),
      height,
      padding: [8, 14, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC'),
      // Half a day on both sides, so that no bar is cut.
      scales: {
        x: { range: () => [(at[0] ?? 0) - daySeconds / 2, (at.at(-1) ?? 0) + daySeconds / 2] },
        // From the median to the slowest it is often three powers of ten.
        y: isTimes
          ? { distr: 3, range: (_, least, most) => uPlot.rangeLog(least || leastMs, most || 1, 10, true) }
          : { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          space: 64,
          size: 30,
          gap: 8,
          incrs: [1, 2, 7, 14, 28, 56].map((step) => step * daySeconds),
          splits: (_, __, ___, ____, step) => at.filter((_, n) => (n * daySeconds) % step === 0),
          values: (_, splits) => splits.map((seconds) => shortDay(new Date(seconds * 1000).toISOString().slice(0, 10))),
        },
        {
          ...axis,
          grid: { stroke: colour('line'), width: 1 },
          space: 28,
          size: 48,
          ...(isTimes ? { splits: (_, __, least, most) => roundTimes(least, most) } : { incrs: wholeSteps }),
          values: (_, splits) => splits.map(sayShort),
        },
      ],
      series: [
        {},
        ...series.map(({ name, tone }, n) => ({
          label: name,
          stroke: colour(tone),
          ...(!isTimes
            ? { fill: colour(tone), width: 0, ...(bars && { paths: bars }), points: { show: false } }
            : { width: 2, dash: dashes[n] ?? [], points: { show: days.length <= 92, size: 4, fill: colour(tone) } }),
        })),
      ],
      cursor: { y: false, drag: { x: false, y: false }, points: { show: isTimes }, sync: { key: 'days' } },
      hooks: { setCursor: [({ cursor }) => onDay(cursor.idx ?? undefined)] },
    },
    [
      at,
      ...series.map(({ values }) =>
        values.map((value, n) => (isThere(n) ? (isTimes ? Math.max(leastMs, value) : value) : null)),
      ),
    ],
    place,
  )
  const resized = new ResizeObserver(() => plot.setSize({ width: Math.max(1, place.clientWidth), height }))
  resized.observe(place)
  return () => {
    resized.disconnect()
    plot.destroy()
  }
}

/** The powers of ten between two, and what lies between them where that leaves room. */
function roundTimes(least: number, most: number): number[] {
  const [first, last] = [Math.round(Math.log10(least)), Math.round(Math.log10(most))]
  const steps = last - first > 2 ? [1] : [1, 2, 5]
  return Array.from({ length: last - first + 1 }, (_, n) => steps.map((step) => step * 10 ** (first + n)))
    .flat()
    .filter((value) => value <= most)
}
