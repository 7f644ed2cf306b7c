import type { TargetedSubmitEvent } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { type Choice, presets, rangeOf, today, wrongWith } from './range'

type Props = { choice: Choice; onChoose: (choice: Choice) => void; onRefresh: () => void }

export function RangePicker({ choice, onChoose, onRefresh }: Props) {
  const [own, setOwn] = useState(() => rangeOf(choice))
  const [mistake, setMistake] = useState<string>()
  // The two fields always show the days that are shown.
  useEffect(() => {
    setOwn(rangeOf(choice))
    setMistake(undefined)
  }, [choice])

  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    const wrong = wrongWith(own)
    setMistake(wrong)
    if (wrong === undefined) onChoose(own)
  }
  const field = (label: string, name: 'start_date' | 'end_date') => (
    <label>
      <span>{label}</span>
      <input
        type="date"
        name={name}
        min="1970-01-01"
        max={today()}
        value={own[name]}
        aria-invalid={mistake !== undefined}
        aria-describedby={mistake === undefined ? undefined : 'range-mistake'}
        onInput={(event) => setOwn({ ...own, [name]: event.currentTarget.value })}
      />
    </label>
  )
  return (
    <form class="range" aria-label="Days to show, in UTC" onSubmit={submit} noValidate>
      <fieldset class="presets">
        <legend class="unseen">The last days</legend>
        {presets.map((days) => (
          <button
            key={days}
            type="button"
            aria-pressed={'days' in choice && choice.days === days}
            onClick={() => onChoose({ days })}
          >
            {days} days
          </button>
        ))}
      </fieldset>
      {field('From', 'start_date')}
      {field('To', 'end_date')}
      <button type="submit">Apply</button>
      <button type="button" class="quiet" onClick={onRefresh}>
        Refresh
      </button>
      {mistake !== undefined && (
        <p id="range-mistake" class="mistake" role="alert">
          {mistake}
        </p>
      )}
    </form>
  )
}
