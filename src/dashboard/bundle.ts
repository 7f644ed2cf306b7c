import { bundlePage } from './bundle.macro' with { type: 'macro' }

// Of its own, so that only the first who looks at the page waits for it: a tenth of a second from source, nothing in the
// compiled program, where these are two strings. A change of the page is seen after a restart: what a macro reads is not
// watched.
export const script = bundlePage('main.tsx')
export const style = bundlePage('style.css')
