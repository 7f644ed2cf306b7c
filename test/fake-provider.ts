/** What one request asked of the provider, and how it went on. */
export type Asked = {
  path: string
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: a test knows what it made the service send
  body: any
  /** Resolves when the caller left before it had the whole answer. */
  left: Promise<void>
}

/** How the provider answers one request. */
export type Turn = (asked: Asked) => Response | Promise<Response>

type Usage = { prompt_tokens?: unknown; completion_tokens?: unknown } | null

/** An OpenAI-compatible server on loopback. Unless told otherwise it answers well; `does` scripts the turns to come. */
export class FakeProvider {
  readonly asked: Asked[] = []
  readonly #turns: Turn[] = []
  readonly #begun: (() => void)[] = []
  readonly #server
  #open = 0

  constructor(port = 0) {
    this.#server = Bun.serve({
      port,
      hostname: '127.0.0.1',
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    })
  }

  /** For PROVIDER_BASE_URL. */
  get url(): string {
    return `${this.#server.url.origin}/v1`
  }

  /** Requests whose answers are still on their way. */
  get open(): number {
    return this.#open
  }

  /** The next requests are answered like this, one turn each. */
  does(...turns: Turn[]): this {
    this.#turns.push(...turns)
    return this
  }

  /** Drops the turns that nobody asked for. */
  forget(): this {
    this.#turns.length = 0
    return this
  }

  /** Resolves when the next request has come in. */
  nextAsked(): Promise<void> {
    return new Promise((resolve) => this.#begun.push(resolve))
  }

  async #answer(request: Request): Promise<Response> {
    const left = Promise.withResolvers<void>()
    this.#open++
    let over = false
    const end = () => {
      if (!over) this.#open--
      over = true
    }
    request.signal.addEventListener('abort', () => {
      left.resolve()
      end()
    })
    const asked: Asked = {
      path: new URL(request.url).pathname,
      headers: request.headers,
      body: await request.json().catch(() => ({})), // a caller may leave before all of it is here
      left: left.promise,
    }
    this.asked.push(asked)
    for (const notify of this.#begun.splice(0)) notify()

    const turn = this.#turns.shift() ?? modelled[asked.body.model] ?? answersWell
    const response = await turn(asked)
    if (response.body === null) {
      end()
      return response
    }
    return new Response(watched(response.body, { ended: end, left: left.resolve }), response)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true)
  }
}

/** The same bytes, and word of how they ended. */
function watched(body: ReadableStream<Uint8Array>, { ended, left }: { ended: () => void; left: () => void }) {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await reader.read()
      if (!done) return controller.enqueue(value)
      ended()
      controller.close()
    },
    cancel() {
      left()
      ended()
      reader.cancel().catch(() => {})
    },
  })
}

/** Answers whole or streamed, as it is asked, with usage. */
export const says =
  (text: string | string[], { usage = fiveTokens }: { usage?: Usage } = {}): Turn =>
  ({ body }) => {
    const pieces = typeof text === 'string' ? [text] : text
    if (!body.stream) return Response.json(completion(pieces.join(''), { usage }))
    const asksForUsage = body.stream_options?.include_usage === true
    return stream([
      ...pieces.map((content) => chunk({ content })),
      chunk({}, { finish_reason: 'stop' }),
      ...(asksForUsage ? [data({ ...envelope, choices: [], usage })] : []),
      'data: [DONE]\n\n',
    ])
  }

const fiveTokens: Usage = { prompt_tokens: 3, completion_tokens: 2 }

const answersWell: Turn = (asked) => {
  const question: string = asked.body.messages.at(-1).content
  return says([...(`You asked: ${question}`.match(/\s*\S+/g) ?? [])])(asked)
}

export const fails =
  (
    status: number,
    { headers = {}, message = 'no' }: { headers?: Record<string, string>; message?: string } = {},
  ): Turn =>
  () =>
    Response.json({ error: { message, type: 'fake', code: null } }, { status, headers })

/** Bytes as they are. */
export const answers =
  (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ): Turn =>
  () =>
    new Response(body, { headers })

/** Takes the request and does not answer. */
export const hangs: Turn = async ({ left }) => {
  await left
  return new Response(null, { status: 499 })
}

/** An event stream of these pieces, whatever they are. */
export const streams =
  (...pieces: string[]): Turn =>
  () =>
    stream(pieces)

/** The same, and then silence. */
export const streamsThenHangs =
  (...pieces: string[]): Turn =>
  ({ left }) =>
    stream(
      (async function* () {
        yield* pieces
        await left
      })(),
    )

/** The same, and then one byte after the other that means nothing. */
export const streamsThenDrips =
  (...pieces: [...string[], drop: string]): Turn =>
  ({ left }) =>
    stream(forever(pieces.at(-1) ?? '', { everyMs: 10, left, first: pieces.slice(0, -1) }))

/** The same piece for ever. */
export const streamsWithoutEnd =
  (piece: string, { everyMs = 0 }: { everyMs?: number } = {}): Turn =>
  ({ left }) =>
    stream(forever(piece, { everyMs, left }))

type Forever = { everyMs: number; left: Promise<void>; first?: string[] }

async function* forever(piece: string, { everyMs, left, first = [] }: Forever) {
  let wanted = true
  left.then(() => {
    wanted = false
  })
  yield* first
  while (wanted) {
    yield piece
    await Bun.sleep(everyMs)
  }
}

const envelope = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'fake-model' }

export const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

/** One event of a stream. */
export const chunk = (delta: object, { finish_reason = null }: { finish_reason?: string | null } = {}): string =>
  data({ ...envelope, choices: [{ index: 0, delta, finish_reason }] })

/** What a whole answer consists of. */
export const completion = (content: unknown, { usage = fiveTokens }: { usage?: Usage } = {}) => ({
  ...envelope,
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  usage,
})

/** For processes that can only choose a model. */
const modelled: Record<string, Turn> = {
  'fake-hang': hangs,
  'fake-slow': streamsWithoutEnd(chunk({ content: 'slow ' }), { everyMs: 100 }),
  'fake-500': fails(500),
  'fake-503': fails(503),
}

function stream(pieces: Iterable<string> | AsyncIterable<string>): Response {
  const encoder = new TextEncoder()
  const iterator = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

/** A provider that sends the beginning of an answer and then, at `when`, cuts the connection. */
export class CuttingProvider {
  #asked = 0
  readonly #listener

  constructor(beginning: string, { type = 'application/json', when = Promise.resolve() } = {}) {
    const bytes = Buffer.byteLength(beginning)
    const head = `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${bytes + 1}\r\n\r\n`
    this.#listener = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data: async (socket) => {
          this.#asked++
          socket.write(head + beginning)
          await when
          socket.end()
        },
      },
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.port}/v1`
  }

  get asked(): number {
    return this.#asked
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true)
  }
}

if (import.meta.main) console.log(new FakeProvider(Number(process.env.PORT ?? 0)).url)
