import type { Observer } from './analytics/hook'
import type { Reporter } from './reporter'

/**
 * One line for each request, once it is answered; of a stream, at its end. The route is the pattern, because an address
 * holds ids and what people typed, and nothing else of what a caller sent is in it.
 */
export const requestLog =
  (reporter: Reporter): Observer =>
  ({ request_id, caller, method, route, status, duration_us }) =>
    reporter.info('A request was answered.', {
      request_id,
      tenant_id: caller?.tenant_id,
      method,
      route,
      status,
      ms: duration_us / 1000,
    })
