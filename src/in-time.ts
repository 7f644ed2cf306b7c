type Bounds = {
  /** How long to wait, in ms; for ever where it is not said. */
  ms?: number
  /** What is thrown when that is over. */
  late?: () => Error
  /** Its reason is thrown when it is aborted. */
  signal?: AbortSignal | undefined
}

/** What `work` comes to, or the reason why it is not waited for any longer. Whether it stops then is its own affair. */
export async function inTime<T>(work: Promise<T>, { ms, late, signal }: Bounds): Promise<T> {
  work.catch(() => {}) // what loses the race may fail later, when nobody listens
  signal?.throwIfAborted()
  const ended = Promise.withResolvers<never>()
  const leave = () => ended.reject(signal?.reason)
  const timer =
    ms === undefined
      ? undefined
      : setTimeout(() => ended.reject(late?.() ?? new Error(`It took longer than ${ms} ms.`)), Math.max(0, ms))
  signal?.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([work, ended.promise])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', leave)
  }
}
