import { useEffect, useRef, useState } from 'preact/hooks'
import { drawPlot, type Tone } from './plot'
import { Table } from './tables'
import { fullDay, plural } from './words'

/** `all` is what stands for the whole range beside the name; of quantiles it is not a sum. */
export type Line = { name: string; tone: Tone; values: number[]; all: number }
export type ChartProps = {
  name: string
  /** Times are lines, of a logarithmic height. */
  kind: 'bars' | 'times'
  days: string[]
  series: Line[]
  /** Where there is no value on a day, the line has a gap. */
  isThere?: (at: number) => boolean
  say: (value: number) => string
  sayShort: (value: number) => string
}

/** A picture for the eye, and the same as a table for everybody. */
export function Chart(props: ChartProps) {
  const { name, days, series, say, isThere = () => true } = props
  const place = useRef<HTMLDivElement>(null)
  const [at, setAt] = useState<number>()
  const scheme = useScheme()

  useEffect(() => {
    if (!place.current) return
    setAt(undefined)
    return drawPlot(place.current, props, setAt)
  }, [days, series, scheme])

  const said = ({ values }: Line, day: number) => (isThere(day) ? say(values[day] ?? 0) : '–')
  const day = at === undefined ? undefined : days[at]
  const alternative = `${name} on ${plural(days.length, 'day')}: ${series
    .map((line) => `${line.name} ${say(line.all)}`)
    .join(', ')}. The numbers of each day follow as a table.`
  return (
    <>
      <p class="readout">
        <span class="day">{day === undefined ? 'All days' : fullDay(day)}</span>
        {series.map((line) => (
          <span key={line.name} class="entry">
            <span class={`swatch ${line.tone}`} aria-hidden="true" />
            {line.name} <strong>{at === undefined ? say(line.all) : said(line, at)}</strong>
          </span>
        ))}
      </p>
      <div class="plot" ref={place} role="img" aria-label={alternative} />
      <details class="numbers">
        <summary>
          Numbers of each day<span class="unseen">: {name}</span>
        </summary>
        <Table
          caption={`${name} per day`}
          rows={days.map((date, row) => ({ date, row })).reverse()}
          keyOf={({ date }) => date}
          nothing=""
          columns={[
            { name: 'Day', of: ({ date }) => fullDay(date) },
            ...series.map((line) => ({
              name: line.name,
              isNumber: true,
              of: ({ row }: { row: number }) => said(line, row),
            })),
          ]}
        />
      </details>
    </>
  )
}

/** Of the reader's system, also when it changes while the page is open. */
function useScheme(): 'dark' | 'light' {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const [isDark, setDark] = useState(dark.matches)
  useEffect(() => {
    const look = () => setDark(dark.matches)
    dark.addEventListener('change', look)
    return () => dark.removeEventListener('change', look)
  }, [])
  return isDark ? 'dark' : 'light'
}
