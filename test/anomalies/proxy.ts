import type { Socket } from 'bun'

/** `early` came before there was anybody to give it to, `waiting` did not fit the socket yet. */
type Pair = { other: Socket<Pair> | undefined; early: Buffer[]; waiting: Buffer[] }

/** A TCP proxy in front of a Unix socket that can be as bad as a network. */
export class BadNetwork implements Disposable {
  /** In each direction. */
  latencyMs = 0
  /** Takes new connections and ends them at once, as a balancer does that has nobody behind it. */
  refuses = false
  readonly #pairs = new Set<Socket<Pair>>()
  readonly #frozen = new WeakSet<Socket<Pair>>()
  readonly #listener

  constructor(private readonly unix: string) {
    this.#listener = Bun.listen<Pair>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (socket) => void this.#open(socket),
        data: (socket, bytes) => this.#forward(socket, bytes),
        drain: (socket) => flush(socket),
        close: (socket) => this.#close(socket),
        error: (socket) => this.#close(socket),
      },
    })
  }

  get port(): number {
    return this.#listener.port
  }

  get connections(): number {
    return this.#pairs.size
  }

  /** Ends all connections in the middle of whatever they carry. */
  cut(): void {
    for (const socket of this.#pairs) {
      socket.data.other?.terminate()
      socket.terminate()
    }
  }

  /** From now on says nothing more on the connections that are open, and does not end them: nobody is told that they are dead. */
  freeze(): void {
    for (const socket of this.#pairs) {
      this.#frozen.add(socket)
      if (socket.data.other) this.#frozen.add(socket.data.other)
    }
  }

  [Symbol.dispose](): void {
    this.cut()
    this.#listener.stop(true)
  }

  async #open(socket: Socket<Pair>): Promise<void> {
    socket.data = { other: undefined, early: [], waiting: [] }
    if (this.refuses) return void socket.end()
    this.#pairs.add(socket)
    const server = await Bun.connect<Pair>({
      unix: this.unix,
      data: { other: socket, early: [], waiting: [] },
      socket: {
        data: (from, bytes) => this.#forward(from, bytes),
        drain: (to) => flush(to),
        close: (from) => this.#close(from),
        error: (from) => this.#close(from),
      },
    }).catch(() => undefined)
    if (!server) return void socket.end()
    const early = socket.data.early.splice(0)
    socket.data.other = server
    for (const bytes of early) this.#forward(socket, bytes)
  }

  #forward(from: Socket<Pair>, bytes: Buffer): void {
    const { other } = from.data
    const copy = Buffer.from(bytes)
    if (!other) return void from.data.early.push(copy)
    const deliver = () => {
      if (this.#frozen.has(from)) return
      other.data.waiting.push(copy)
      flush(other)
    }
    if (this.latencyMs === 0) deliver()
    else setTimeout(deliver, this.latencyMs)
  }

  #close(socket: Socket<Pair>): void {
    this.#pairs.delete(socket)
    if (!this.#frozen.has(socket)) socket.data?.other?.end()
  }
}

/** What did not fit the socket goes when it has room again. */
function flush(to: Socket<Pair>): void {
  for (let first = to.data.waiting[0]; first; first = to.data.waiting[0]) {
    const written = to.write(first)
    if (written < first.length) {
      if (written > 0) to.data.waiting[0] = first.subarray(written)
      return
    }
    to.data.waiting.shift()
  }
}
