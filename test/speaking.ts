import { buildApp } from '../src/app'
import type { Deps } from '../src/deps'
import type { ProviderLimits } from '../src/providers/ask'
import { type Client, client } from '../src/testing'
import { deps, tokenOf } from './kit'

/** This user, speaking with an app in the test's sandbox that differs from the usual one in these dependencies. */
export function speaking(user: Parameters<typeof tokenOf>[0], changes: Partial<Deps>): Client {
  const app = buildApp({ ...deps, ...changes })
  return client(
    (request) => app.handle(request),
    async () => ({ authorization: `Bearer ${await tokenOf(user)}` }),
  )
}

/** Nobody in particular, speaking with such an app. */
export function strangerTo(changes: Partial<Deps>): Client {
  const app = buildApp({ ...deps, ...changes })
  return client(
    (request) => app.handle(request),
    () => ({}),
  )
}

export const withLimits = (changes: Partial<ProviderLimits>): Pick<Deps, 'limits'> => ({
  limits: { ...deps.limits, provider: { ...deps.limits.provider, ...changes } },
})
