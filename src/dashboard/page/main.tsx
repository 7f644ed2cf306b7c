import { render } from 'preact'
import { App } from './app'

const root = document.getElementById('dashboard')
if (root) {
  root.replaceChildren()
  render(<App />, root)
}
