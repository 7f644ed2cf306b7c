import { Elysia } from 'elysia'
import { type About, about } from '../about'
import type { Clock } from '../ids'
import type { Lifetime } from '../lifetime'

/** One request, once it is answered. */
export type Observation = {
  request_id: string
  /** Undefined where nobody was let in, or nothing asked who it is. */
  caller: { tenant_id: string; user_id: string } | undefined
  method: string
  /** As it is declared, `/api/v1/conversations/:id`; `(unmatched)` where no route was. */
  route: string
  status: number
  /** Until the answer is made; of a stream, until its end. */
  duration_us: number
  /** When it began. */
  at: Date
}

/** Hears of every request. Quick and synchronous, for it runs before the answer leaves. */
export type Observer = (seen: Observation) => void

/** Milliseconds of a clock that is never set back; only differences mean something. */
export type Stopwatch = () => number

type Deps = {
  clock: Clock
  stopwatch: Stopwatch
  lifetime: Lifetime
  observers: readonly Observer[]
}

export const unmatched = '(unmatched)'

const methods = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'])

/**
 * Observes every request, also those that no route or no caller was found for. Begins before everything else (`wrap`), and
 * the envelope tells it of the answer: Elysia's onAfterResponse does not see what is answered before routing, nor the
 * status of a Response that a handler made.
 */
export function requestHook({ clock, stopwatch, lifetime, observers }: Deps) {
  if (observers.length === 0) return new Elysia()

  const observe = (known: About, method: string, status: number, at: Date, startedAt: number) => {
    const seen: Observation = {
      request_id: known.request_id,
      caller: known.caller,
      method: methods.has(method) ? method : 'OTHER',
      route: known.route ?? unmatched,
      status,
      duration_us: Math.max(0, Math.round((stopwatch() - startedAt) * 1000)),
      at,
    }
    for (const observer of observers) observer(seen)
  }

  return new Elysia({ name: 'request-hook' })
    .wrap((next) => (...args: unknown[]) => {
      const request = args[0] as Request
      const known = about(request)
      const at = clock.now()
      const startedAt = stopwatch()
      known.onAnswer = (status) => {
        const { lasts } = known
        if (lasts) lifetime.run(() => lasts.then(() => observe(known, request.method, status, at, startedAt)))
        else observe(known, request.method, status, at, startedAt)
      }
      return next(...args)
    })
    .onTransform({ as: 'global' }, ({ request, route }) => {
      about(request).route = route
    })
    .onError({ as: 'global' }, ({ request, route }) => {
      if (route) about(request).route = route
    })
}
