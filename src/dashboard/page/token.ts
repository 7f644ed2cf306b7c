const name = 'tenantry-token'

/** Where the browser allows no storage, a token lives as long as the page. */
function storage(): Storage | undefined {
  try {
    return sessionStorage
  } catch {
    return undefined
  }
}

/** Of this tab only, and until it is closed: never in localStorage, a cookie or an address. */
export const keptToken = (): string | undefined => storage()?.getItem(name) ?? undefined
export const keepToken = (token: string): void => storage()?.setItem(name, token)
export const forgetToken = (): void => storage()?.removeItem(name)

/** What was pasted, without `Bearer` and white space around it; undefined where it cannot be a token. */
export function readToken(pasted: string): string | undefined {
  const token = pasted.trim().replace(/^(authorization:\s*)?bearer\s+/i, '')
  return /^[\w.~+/=-]+$/.test(token) ? token : undefined
}
