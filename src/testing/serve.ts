import type { ServerWebSocket } from 'bun'

/** A test's app behind a real socket: for event streams as a browser reads them, WebSockets, or a second process. */
export type Served = {
  /** `http://127.0.0.1:<port>`, without a slash at its end. */
  readonly url: string
  /** Ends all connections; done by itself when the test ends. */
  stop(): Promise<void>
}

/** What Elysia leaves with a socket when it upgrades a request. */
type Handlers = {
  [Event in 'open' | 'message' | 'drain' | 'close' | 'ping' | 'pong']?: (
    socket: ServerWebSocket<Handlers>,
    ...rest: unknown[]
  ) => unknown
}

export type SocketServer = Bun.Server<Handlers>

/** `enter` puts what comes over the socket into the test, which no socket carries along. */
export function serve(
  handle: (request: Request) => Promise<Response>,
  enter: <T>(work: () => Promise<T>) => Promise<T>,
): Served & { server: SocketServer } {
  const on =
    (event: keyof Handlers) =>
    (socket: ServerWebSocket<Handlers>, ...rest: unknown[]) =>
      void enter(async () => await socket.data[event]?.(socket, ...rest))
  const server = Bun.serve<Handlers>({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch: (request) => enter(() => handle(request)),
    websocket: {
      open: on('open'),
      message: on('message'),
      drain: on('drain'),
      close: on('close'),
      ping: on('ping'),
      pong: on('pong'),
    },
  })
  return {
    server,
    url: `http://127.0.0.1:${server.port}`,
    async stop() {
      await server.stop(true)
      while (server.pendingWebSockets > 0) await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
