import type { BodyWatch } from './client'

type Asked = { method: string; path: string }

/** What all declarations of a stream's reader have: Bun's and the DOM's differ. */
export type Reader = {
  read(): Promise<{ done: boolean; value?: Uint8Array<ArrayBuffer> | string | undefined }>
  cancel(reason?: unknown): Promise<void>
}

/** Bodies of answers that are not read to their end. What a test leaves is cancelled, as when a caller hangs up. */
export class OpenStreams implements BodyWatch {
  readonly #open = new Map<Reader, Asked>()
  readonly #reading = new Set<Asked>()

  /** The same answer with a body that is known to be read to its end or not. Asks for no more than its reader does. */
  handOut(response: Response, request: Asked): Response {
    const reader = response.body?.getReader() as Reader | undefined
    if (!reader) return response
    this.#open.set(reader, request)
    const over = () => this.#open.delete(reader)
    const encoder = new TextEncoder()
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          try {
            const { done, value } = await reader.read()
            // Elysia's streams give text, of which a socket makes bytes.
            if (!done && value !== undefined)
              return controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value)
            over()
            controller.close()
          } catch (error) {
            over()
            throw error
          }
        },
        async cancel(reason) {
          await reader.cancel(reason)
          over()
        },
      },
      { highWaterMark: 0 },
    )
    return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers })
  }

  async reading<T>(request: Asked, read: Promise<T>): Promise<T> {
    this.#reading.add(request)
    try {
      return await read
    } finally {
      this.#reading.delete(request)
    }
  }

  /** The requests whose answers have not been read to the end. */
  get unread(): string[] {
    return [...this.#open.values(), ...this.#reading].map(({ method, path }) => `${method} ${path}`)
  }

  async cancel(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((reader) => reader.cancel().finally(() => this.#open.delete(reader))))
  }
}
