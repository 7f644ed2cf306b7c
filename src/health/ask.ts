import { get } from 'node:http'

/** Longer than readiness itself waits for the database. */
const patienceMs = 3000

/** Asks the server that listens there whether it is ready. Throws, in words for a log, when it is not. */
export async function askReadiness({ host, port }: { host: string; port: number }): Promise<void> {
  const status = await statusAt({ host: everywhere[host] ?? host, port, path: '/health/ready' })
  if (status !== 200) throw new Error(`The server on port ${port} is not ready: it answered ${status}`)
}

/** Whoever listens on all addresses listens on loopback too. */
const everywhere: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Not by fetch, which would ask the proxy of HTTP_PROXY for what is on this machine. */
function statusAt(at: { host: string; port: number; path: string }): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const failed = (why: string) => reject(new Error(`The server on port ${at.port} is not ready: ${why}`))
  const request = get({ ...at, agent: false }, (response) => {
    response.resume()
    resolve(response.statusCode ?? 0)
  })
  request.on('error', () => failed('it cannot be reached'))
  request.setTimeout(patienceMs, () => {
    failed(`it does not answer within ${patienceMs} ms`)
    request.destroy()
  })
  return promise
}
