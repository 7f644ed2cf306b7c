import { failureCode, failureSyscall } from '../errors'

/**
 * The database does not answer, or cannot do anything now, or not beside so many others: not a defect of the statement,
 * and it may be well again soon.
 */
export function isOutage(thrown: unknown): boolean {
  const code = failureCode(thrown)
  if (code === undefined) return false
  return (
    /^(08|25006|25P03|40001|40P01|53|57)/.test(code) ||
    /^(CONNECT|CONNECTION_|ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)/.test(code) ||
    /^SQLITE_(BUSY|LOCKED|FULL|READONLY|IOERR|CANTOPEN)/.test(code) ||
    // No server has its socket there.
    (code === 'ENOENT' && failureSyscall(thrown) === 'connect')
  )
}
