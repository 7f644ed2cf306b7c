import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Failure, type Figures, loadFigures } from './api'
import { Downloads } from './downloads'
import { Mark } from './mark'
import { Panels } from './panels'
import { type Choice, rangeOf, readChoice, writeChoice } from './range'
import { RangePicker } from './range-picker'
import { plural, span } from './words'

type Props = { token: string; onLeave: (because?: string) => void }
type State = { figures?: Figures; failure?: Failure; isLoading: boolean }

export function Dashboard({ token, onLeave }: Props) {
  const [choice, setChoice] = useState<Choice>(() => readChoice(location.search))
  const [attempt, setAttempt] = useState(0)
  const [{ figures, failure, isLoading }, setState] = useState<State>({ isLoading: true })
  const heading = useRef<HTMLHeadingElement>(null)

  // The field that had the focus is gone, and the reader is to be somewhere.
  useEffect(() => heading.current?.focus(), [])

  useEffect(() => {
    const abort = new AbortController()
    setState(({ figures }) => ({ ...(figures && { figures }), isLoading: true }))
    loadFigures(rangeOf(choice), { token, signal: abort.signal }).then(
      (figures) => !abort.signal.aborted && setState({ figures, isLoading: false }),
      (error: unknown) => {
        if (abort.signal.aborted) return
        const failure = error instanceof Failure ? error : new Failure('refused', 'The answer could not be read.')
        if (failure.kind === 'unauthenticated') onLeave(failure.message)
        else setState({ failure, isLoading: false })
      },
    )
    return () => abort.abort()
  }, [token, choice, attempt])

  const choose = (chosen: Choice) => {
    history.replaceState(null, '', writeChoice(chosen))
    setChoice(chosen)
  }
  const again = () => setAttempt((before) => before + 1)
  const retry = () => {
    heading.current?.focus() // the button goes away
    again()
  }
  // Charts are drawn when there are new figures, and not whenever something else here changes.
  const panels = useMemo(() => figures && <Panels figures={figures} />, [figures])
  const status = isLoading
    ? 'Loading…'
    : figures && `${span(figures.range)}, UTC. ${plural(figures.summary.total_requests, 'request')}.`

  return (
    <>
      <header class="top">
        <Mark />
        {figures && (
          <p class="who">
            <strong>{figures.me.tenant.name}</strong>
            <span>signed in as {figures.me.role}</span>
          </p>
        )}
        <button type="button" class="quiet" onClick={() => onLeave()}>
          Forget token
        </button>
      </header>
      <main>
        <div class="bar">
          <div>
            <h1 tabIndex={-1} ref={heading}>
              Usage
            </h1>
            <p class="status" role="status">
              {status}
            </p>
          </div>
          <RangePicker choice={choice} onChoose={choose} onRefresh={again} />
        </div>
        {failure && <Refusal failure={failure} onRetry={retry} />}
        {!figures && isLoading && <Skeleton />}
        {figures && (
          <div class={isLoading ? 'figures stale' : 'figures'} aria-busy={isLoading}>
            {panels}
            <Downloads token={token} range={figures.range} me={figures.me} onLeave={onLeave} />
          </div>
        )}
      </main>
    </>
  )
}

function Refusal({ failure, onRetry }: { failure: Failure; onRetry: () => void }) {
  const titles = {
    unauthenticated: 'The token is not accepted',
    forbidden: 'You may not see this',
    refused: 'That did not work',
    unreachable: 'No connection',
  }
  return (
    <section class="card refusal" role="alert">
      <h2>{titles[failure.kind]}</h2>
      <p>{failure.message}</p>
      <button type="button" onClick={onRetry}>
        Try again
      </button>
    </section>
  )
}

/** The shape of what comes, so that nothing jumps when it is there. */
const Skeleton = () => (
  <div class="skeleton" aria-hidden="true">
    {['tiles', 'wide', 'half', 'half other'].map((kind) => (
      <div key={kind} class={kind} />
    ))}
  </div>
)
