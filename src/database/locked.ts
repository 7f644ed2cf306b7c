import { failureCode } from '../errors'

/** How long the lock of another process is waited for, in ms, before whoever wants it is told to come back. */
const patienceMs = 4000
/** Nobody found the file locked for so long, in ms: another lock that is met now is a new one. */
const forgetMs = 1000

/**
 * Does again what another process's lock on the file refused. SQLite's own wait (busy_timeout) would stop everything in
 * this process, health checks included. A lock is waited for once: who comes when it has lasted too long is refused at once,
 * or a queue of waiters would take its patience as often as it is long. `locks`: cannot be done without the lock.
 */
export function waitingForLock() {
  let metAt = Number.NEGATIVE_INFINITY
  let lastMetAt = Number.NEGATIVE_INFINITY

  return async <T>(work: () => T, { locks = false }: { locks?: boolean } = {}): Promise<T> => {
    for (let needsLock = locks; ; needsLock = true) {
      try {
        const done = work()
        // Nobody had the lock just now, so one that is met from here on is another: two processes that are both busy meet
        // all the time. What only reads is never refused, and says nothing of the lock.
        if (needsLock) lastMetAt = Number.NEGATIVE_INFINITY
        return done
      } catch (error) {
        if (!failureCode(error)?.startsWith('SQLITE_BUSY')) throw error
        const now = performance.now()
        if (now - lastMetAt > forgetMs) metAt = now
        lastMetAt = now
        if (now - metAt > patienceMs) throw error
        await Bun.sleep(1 + Math.random() * 10)
      }
    }
  }
}
