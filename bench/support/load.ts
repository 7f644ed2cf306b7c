import { quantile } from './measure'
import { cpuMs, type Served } from './processes'

/** One run of a closed loop. Times in ms; `cpuUs` is the CPU time that the server took for each answer, in µs. */
export type Run = { answers: number; perSecond: number; p50: number; p99: number; cpuUs: number }

type Options = { callers: number; forMs: number }

/**
 * `callers` connections, each of which sends its next request when the answer to its last is there.
 * Requests are bytes made beforehand and answers are only measured, not read: the client shares the machine with what
 * it measures, and `fetch` would cost as much as the service. Throws when an answer is not a success.
 */
export async function load(served: Served, requests: readonly Buffer[], { callers, forMs }: Options): Promise<Run> {
  const { hostname, port } = new URL(served.origin)
  const times: number[] = []
  let sent = 0
  let endsAt = Number.POSITIVE_INFINITY
  const next = () => (performance.now() < endsAt ? requests[sent++ % requests.length] : undefined)

  const open = Array.from({ length: callers }, () => new Caller(next, times))
  await Promise.all(open.map((caller) => caller.connect(hostname, Number(port))))
  const cpuBefore = cpuMs(served.pid)
  const startedAt = performance.now()
  endsAt = startedAt + forMs
  await Promise.all(open.map((caller) => caller.begin()))
  const seconds = (performance.now() - startedAt) / 1000

  const cpuUs = ((cpuMs(served.pid) - cpuBefore) * 1000) / times.length

  const sorted = Float64Array.from(times).sort()
  const [answers, perSecond] = [times.length, times.length / seconds]
  return { answers, perSecond, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), cpuUs }
}

/** A request as it goes over the wire. */
export function request(method: string, path: string, headers: Record<string, string>, body?: object): Buffer {
  const text = body === undefined ? '' : JSON.stringify(body)
  const all = {
    host: 'localhost',
    ...headers,
    ...(body && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`)
}

class Caller {
  #socket: { write(data: Buffer): number; end(): void } | undefined
  #sentAt = 0
  #missing = 0
  readonly #over = Promise.withResolvers<void>()

  constructor(
    private readonly next: () => Buffer | undefined,
    private readonly times: number[],
  ) {}

  async connect(hostname: string, port: number): Promise<void> {
    this.#socket = await Bun.connect({
      hostname,
      port,
      socket: {
        data: (_, chunk) => this.#receive(chunk),
        error: (_, error) => this.#over.reject(error),
        close: () => this.#over.reject(new Error('The server closed a connection.')),
      },
    })
  }

  begin(): Promise<void> {
    this.#send()
    return this.#over.promise
  }

  #send(): void {
    const bytes = this.next()
    if (!bytes) {
      this.#over.resolve()
      this.#socket?.end()
      return
    }
    this.#sentAt = performance.now()
    if (this.#socket?.write(bytes) !== bytes.length) this.#over.reject(new Error('A request did not fit the socket.'))
  }

  #receive(chunk: Buffer): void {
    this.#missing = this.#missing > 0 ? this.#missing - chunk.length : this.#missingAfter(chunk)
    if (this.#missing > 0) return
    this.times.push(performance.now() - this.#sentAt)
    this.#send()
  }

  /** Bytes that are still to come after the first of an answer. On loopback a head always arrives whole. */
  #missingAfter(chunk: Buffer): number {
    const head = chunk.toString('latin1', 0, 2048)
    const end = head.indexOf('\r\n\r\n')
    const length = /content-length: (\d+)/i.exec(head)?.[1]
    if (!head.startsWith('HTTP/1.1 20') || end === -1 || length === undefined) {
      this.#over.reject(new Error(`Not an answer that can be measured: ${chunk.toString()}`))
      return 0
    }
    return end + 4 + Number(length) - chunk.length
  }
}
