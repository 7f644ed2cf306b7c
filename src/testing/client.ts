/** An answer as a test looks at it: `expect(response).toMatchObject({ status: 404, body: { code: 'not_found' } })`. */
export type ClientResponse = {
  status: number
  headers: Record<string, string>
  /** JSON as a value, an event stream as its list of events, nothing as undefined, all else as text. */
  // biome-ignore lint/suspicious/noExplicitAny: a test knows what it asked for, and its expectations are the check
  body: any
}

export type StreamEvent = { event: string; data: unknown }

export type SendOptions = { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal }

/** Speaks HTTP with the app inside the process: every hook runs, no socket is opened. */
export type Client = {
  get(path: string, options?: Omit<SendOptions, 'body'>): Promise<ClientResponse>
  post(path: string, body?: unknown, options?: Omit<SendOptions, 'body'>): Promise<ClientResponse>
  put(path: string, body?: unknown, options?: Omit<SendOptions, 'body'>): Promise<ClientResponse>
  patch(path: string, body?: unknown, options?: Omit<SendOptions, 'body'>): Promise<ClientResponse>
  delete(path: string, options?: SendOptions): Promise<ClientResponse>
  /** The raw Response, for streams read piece by piece and for bodies that are no JSON (strings, forms, bytes, blobs and streams go as they are). */
  send(method: string, path: string, options?: SendOptions): Promise<Response>
}

type Handle = (request: Request) => Promise<Response>

/** Who wants to know what becomes of the bodies of answers. */
export type BodyWatch = {
  /** May replace an answer that is handed out unread. */
  handOut(response: Response, request: { method: string; path: string }): Response
  reading<T>(request: { method: string; path: string }, read: Promise<T>): Promise<T>
}

const nobody: BodyWatch = { handOut: (response) => response, reading: (_, read) => read }

/** Who speaks: its headers are made for each request. */
export function client(
  handle: Handle,
  identity: () => Record<string, string> | Promise<Record<string, string>>,
  watch: BodyWatch = nobody,
): Client {
  const exchangeRaw = async (
    method: string,
    path: string,
    { body, headers, signal }: SendOptions = {},
  ): Promise<Response> => {
    // It would be part of the host's name, and every answer a 404.
    if (!path.startsWith('/')) throw new Error(`The path "${path}" has to begin with /.`)
    // Not http://l: Elysia looks for the path from the twelfth character on.
    const sent = isRaw(body) ? body : JSON.stringify(body)
    const request = new Request(`http://localhost${path}`, {
      method,
      headers: {
        ...(await identity()),
        ...(sent !== undefined && !isForm(sent) && { 'content-type': 'application/json' }),
        // As every HTTP client does; a Request made in the process has none by itself.
        ...(typeof sent === 'string' && { 'content-length': String(Buffer.byteLength(sent)) }),
        ...headers,
      },
      ...(sent !== undefined && { body: sent }),
      ...(signal && { signal }),
    })
    return await handle(request)
  }
  const exchange = async (method: string, path: string, options: SendOptions = {}): Promise<ClientResponse> =>
    await watch.reading({ method, path }, read(await exchangeRaw(method, path, options)))

  return {
    get: (path, options) => exchange('GET', path, options),
    post: (path, body, options) => exchange('POST', path, { body, ...options }),
    put: (path, body, options) => exchange('PUT', path, { body, ...options }),
    patch: (path, body, options) => exchange('PATCH', path, { body, ...options }),
    delete: (path, options) => exchange('DELETE', path, options),
    send: async (method, path, options) => watch.handOut(await exchangeRaw(method, path, options), { method, path }),
  }
}

type Raw = string | Blob | ReadableStream | FormData | URLSearchParams | ArrayBuffer | Uint8Array<ArrayBuffer>

const isRaw = (body: unknown): body is Raw | undefined =>
  body === undefined ||
  typeof body === 'string' ||
  body instanceof Blob ||
  body instanceof ReadableStream ||
  isForm(body) ||
  body instanceof ArrayBuffer ||
  body instanceof Uint8Array

/** A Request writes the type of these itself, because a part of it is in the body. */
const isForm = (body: unknown): body is FormData | URLSearchParams =>
  body instanceof FormData || body instanceof URLSearchParams

export async function read(response: Response): Promise<ClientResponse> {
  const text = await response.text()
  const type = response.headers.get('content-type') ?? ''
  const body =
    text === ''
      ? undefined
      : /[/+]json\s*(;|$)/i.test(type)
        ? JSON.parse(text)
        : type.startsWith('text/event-stream')
          ? eventsIn(text)
          : text
  return { status: response.status, headers: Object.fromEntries(response.headers), body }
}

/** The events of a stream that has ended. */
const eventsIn = (text: string): StreamEvent[] => text.split('\n\n').flatMap((block) => parseEvent(block) ?? [])

/** The events of a stream as they arrive. */
export async function* events(response: Response): AsyncGenerator<StreamEvent> {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const bytes of response.body ?? []) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = parseEvent(block)
      if (event) yield event
    }
  }
}

function parseEvent(block: string): StreamEvent | undefined {
  const lines = block.split('\n')
  const value = (field: string) =>
    lines.filter((line) => line.startsWith(`${field}: `)).map((line) => line.slice(field.length + 2))
  const data = value('data').join('\n')
  return data === '' ? undefined : { event: value('event')[0] ?? 'message', data: jsonOr(data) }
}

/** Nothing obliges an event to be JSON. */
function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
