import { useState } from 'preact/hooks'
import { Dashboard } from './dashboard'
import { SignIn } from './sign-in'
import { forgetToken, keepToken, keptToken } from './token'

export function App() {
  const [token, setToken] = useState(keptToken)
  const [refusal, setRefusal] = useState<string>()

  const enter = (given: string) => {
    keepToken(given)
    setRefusal(undefined)
    setToken(given)
  }
  const leave = (because?: string) => {
    forgetToken()
    setRefusal(because)
    setToken(undefined)
  }
  return token === undefined ? (
    <SignIn refusal={refusal} onToken={enter} />
  ) : (
    <Dashboard token={token} onLeave={leave} />
  )
}
