import { toAppError } from '../problem'
import { describe, type Reporter, reportFailure } from '../reporter'
import type { Reply } from './schema'

/** Comment lines keep proxies and idle timers from closing a stream whose model thinks. */
export const heartbeatMs = 15_000

/**
 * One reply as server-sent events: `token` for each piece, then exactly one `done` or `error`.
 * `work` goes on when nobody reads: `leave` tells it that the reader is gone.
 */
export function replyStream(
  work: (onText: (text: string) => void) => Promise<Reply>,
  {
    everyMs = heartbeatMs,
    requestId,
    reporter,
    leave,
  }: { everyMs?: number; requestId: string; reporter: Reporter; leave: () => void },
): { response: Response; finished: Promise<void> } {
  const encoder = new TextEncoder()
  const finished = Promise.withResolvers<void>()
  let open = true

  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const send = (text: string) => {
        if (open) controller.enqueue(encoder.encode(text))
      }
      const heartbeat = setInterval(() => send(': still here\n\n'), everyMs)
      work((content) => send(event('token', { content })))
        .then(
          (reply) => send(event('done', reply)),
          (thrown: unknown) => {
            const error = toAppError(thrown)
            reportFailure(reporter, error, { request_id: requestId })
            send(event('error', { code: error.code, detail: error.message, request_id: requestId }))
          },
        )
        .finally(() => {
          clearInterval(heartbeat)
          if (open) controller.close()
          open = false
        })
        .catch((error) => reporter.warn(`A stream could not be ended: ${describe(error)}`, { request_id: requestId }))
        .finally(finished.resolve)
    },
    cancel() {
      open = false
      leave()
    },
  })
  const response = new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    },
  })
  return { response, finished: finished.promise }
}

/** JSON has no line breaks of its own, so one `data` line is always enough. */
const event = (name: 'token' | 'done' | 'error', data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
