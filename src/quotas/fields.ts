import { secondsLeft, secondsOf, type Window } from './windows'

/** A limit of the tenant's, and how much of it is left. */
export type Limit = {
  readonly name: 'requests' | 'tokens'
  readonly quota: number
  readonly window: Window
  readonly left: number
}

/** The largest integer that a structured field has (RFC 9651, 3.3.1). */
const most = 999_999_999_999_999
const integer = (value: number) => Math.min(Math.max(value, 0), most)

/**
 * RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11); of the limits that were looked at, and nothing where
 * there is none. The unit
 * `tokens` is not in the draft's registry, but without any a client had to take tokens for requests.
 */
export function rateLimitFields(limits: readonly Limit[], now: Date): Record<string, string> {
  if (limits.length === 0) return {}
  const policies = limits.map(({ name, quota, window }) => {
    const unit = name === 'requests' ? '' : `;qu="${name}"`
    return `"${name}";q=${integer(quota)}${unit};w=${secondsOf(window)}`
  })
  const remains = limits.map(({ name, window, left }) => `"${name}";r=${integer(left)};t=${secondsLeft(window, now)}`)
  return { 'ratelimit-policy': policies.join(', '), ratelimit: remains.join(', ') }
}
