import { readUrl } from '../egress/destination'
import { EgressError } from '../egress/egress'
import type { Clock } from '../ids'
import { HopelessJob, RetryAfter } from '../jobs/job'

/** What a config's check says of a URL that could never be fetched. Whether it leads inside, only sending tells. */
export function urlMistake(path: string, url: string): { path: string; message: string } | undefined {
  try {
    readUrl(url)
    return undefined
  } catch (error) {
    if (!(error instanceof EgressError)) throw error
    return { path, message: 'must be an http or https URL, written plainly and without a user name or password' }
  }
}

/**
 * Nothing where the receiver took what it was sent. Throws RetryAfter where it may take it later, and HopelessJob where
 * it will not: a redirect too, since it is not followed. Of the receiver they name the status only; its URL may be a secret.
 */
export async function requireTaken(answer: Response, clock: Clock): Promise<void> {
  await answer.body?.cancel()
  const { status } = answer
  if (answer.ok) return
  if (status >= 500 || patient.has(status))
    throw new RetryAfter(`The receiver answered ${status}.`, secondsIn(answer.headers.get('retry-after'), clock))
  throw new HopelessJob(
    status < 400
      ? `The receiver answered ${status}; redirects are not followed.`
      : `The receiver answered ${status}, so it is not sent again.`,
  )
}

/** Request Timeout, Too Early, Too Many Requests: the same may be taken another time. */
const patient = new Set([408, 425, 429])

/** RFC 9110, 10.2.3: seconds or a date. 0 where there is none that can be read. */
function secondsIn(header: string | null, clock: Clock): number {
  if (header === null) return 0
  if (/^\d{1,9}$/.test(header)) return Number(header)
  const until = Date.parse(header)
  return Number.isNaN(until) ? 0 : Math.max(0, Math.ceil((until - clock.now().getTime()) / 1000))
}
