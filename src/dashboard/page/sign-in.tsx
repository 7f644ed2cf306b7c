import type { TargetedSubmitEvent } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Mark } from './mark'
import { readToken } from './token'

type Props = { refusal: string | undefined; onToken: (token: string) => void }

export function SignIn({ refusal, onToken }: Props) {
  const [pasted, setPasted] = useState('')
  const [mistake, setMistake] = useState<string>()
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => field.current?.focus(), [])

  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    const token = readToken(pasted)
    if (token !== undefined) return onToken(token)
    setMistake(pasted.trim() === '' ? 'Paste a token first.' : 'This is not a token: it has characters that none has.')
    field.current?.focus()
  }
  const said = mistake ?? refusal
  return (
    <main class="sign-in">
      <form class="card" onSubmit={submit} noValidate>
        <Mark />
        <h1>Usage of your tenant</h1>
        <label for="token">Access token</label>
        {/* Of the kind text, so that no password manager offers to keep it; CSS shows dots. */}
        <input
          id="token"
          ref={field}
          class="secret"
          type="text"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={pasted}
          aria-describedby={said === undefined ? 'token-kept' : 'token-refused token-kept'}
          aria-invalid={said !== undefined}
          onInput={(event) => setPasted(event.currentTarget.value)}
        />
        {said !== undefined && (
          <p id="token-refused" class="mistake" role="alert">
            {said}
          </p>
        )}
        <button type="submit" class="primary">
          Show the dashboard
        </button>
        <p id="token-kept" class="hint">
          The token stays in this tab, and is gone when you close it or press “Forget token”.
        </p>
        <details class="hint">
          <summary>Where do I get one?</summary>
          <p>From the service that signs your users in, or on the server from the command line:</p>
          <code>tenantry token --tenant acme --user ada</code>
        </details>
      </form>
    </main>
  )
}
