import { useState } from 'preact/hooks'
import type { Range } from '../../day'
import { download, type Export, Failure, type Person } from './api'

type Props = { token: string; range: Range; me: Person; onLeave: (because?: string) => void }

const kinds: Record<Export['rows'], string> = {
  days: 'Day by day',
  routes: 'Day by day and route by route',
  requests: 'Every request',
}

export function Downloads({ token, range, me, onLeave }: Props) {
  const [rows, setRows] = useState<Export['rows']>('days')
  const [said, setSaid] = useState('')
  const [isBusy, setBusy] = useState(false)

  const fetchFile = async (format: Export['format']) => {
    if (isBusy) return
    setBusy(true)
    setSaid('Making the file…')
    try {
      setSaid(`${await download({ rows, format }, range, { token })} was handed to your browser.`)
    } catch (error) {
      if (error instanceof Failure && error.kind === 'unauthenticated') return onLeave(error.message)
      setSaid(error instanceof Failure ? error.message : 'The file could not be made.')
    } finally {
      setBusy(false)
    }
  }
  return (
    <section class="card downloads" aria-labelledby="downloads">
      <h2 id="downloads">Download</h2>
      {me.permissions.includes('analytics:export') ? (
        <div class="row">
          <label>
            <span>What</span>
            <select value={rows} onChange={(event) => setRows(rowsNamed(event.currentTarget.value))}>
              {Object.entries(kinds).map(([kind, words]) => (
                <option key={kind} value={kind}>
                  {words}
                </option>
              ))}
            </select>
          </label>
          <button type="button" aria-disabled={isBusy} onClick={() => fetchFile('csv')}>
            Download CSV
          </button>
          <button type="button" aria-disabled={isBusy} onClick={() => fetchFile('json')}>
            Download JSON
          </button>
          <p class="status" role="status">
            {said}
          </p>
        </div>
      ) : (
        <p class="hint">The role {me.role} may not download; operators and admins may.</p>
      )}
    </section>
  )
}

const rowsNamed = (name: string): Export['rows'] => (name === 'routes' || name === 'requests' ? name : 'days')
