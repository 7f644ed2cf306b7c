import OpenAI, { APIConnectionError, APIError } from 'openai'
import {
  type Chunk,
  type Prompt,
  type Provider,
  ProviderFailure,
  type ProviderRequest,
  type ReportedUsage,
} from './provider'
import { Calls } from './tool-calls'

type Options = {
  baseUrl: string
  apiKey: string | undefined
  /** Bytes that one answer of the server may have, after decompression. */
  largestAnswer?: number
}

/** Any server that speaks OpenAI's chat completions: OpenAI, LiteLLM, vLLM, Ollama. Time limits and retries are ask.ts's. */
export function openaiProvider({ baseUrl, apiKey, largestAnswer = 8 * 1024 * 1024 }: Options): Provider {
  // Given here is all that the client would otherwise take from the environment, but for OPENAI_CUSTOM_HEADERS.
  const client = new OpenAI({
    baseURL: baseUrl,
    apiKey: apiKey ?? 'none',
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: 24 * 60 * 60 * 1000,
    logLevel: 'off',
    fetchOptions: { redirect: 'error' },
    fetch: async (url, init) => bounded(await fetch(url, init), largestAnswer),
  })

  async function* streamed(request: ProviderRequest, signal: AbortSignal): AsyncGenerator<Chunk> {
    const chunks = await client.chat.completions.create(
      { ...asked(request), stream: true, stream_options: { include_usage: true } },
      { signal },
    )
    const calls = new Calls()
    // Some servers close the connection without [DONE], a cut connection looks the same: only a finish_reason says that the reply is whole.
    let finished = false
    let model: string | undefined
    for await (const chunk of chunks) {
      model = wordOf(chunk.model) ?? model
      const choice = chunk.choices?.[0]
      const text = choice?.delta?.content
      yield { type: 'text', text: typeof text === 'string' ? text : '' }
      calls.add(choice?.delta?.tool_calls)
      if (chunk.usage) yield { type: 'usage', usage: usageOf(chunk.usage), model }
      // Some servers send an empty one with every chunk.
      finished ||= typeof choice?.finish_reason === 'string' && choice.finish_reason.length > 0
    }
    if (!finished) return
    yield* calls.chunks()
    yield { type: 'end', model }
  }

  async function* whole(request: ProviderRequest, signal: AbortSignal): AsyncGenerator<Chunk> {
    const completion = await client.chat.completions.create(asked(request), { signal })
    const message = completion?.choices?.[0]?.message
    const calls = new Calls()
    calls.add(message?.tool_calls)
    // Beside calls there is no text, or null.
    const content = message?.content ?? (calls.size > 0 ? '' : undefined)
    if (typeof content !== 'string')
      throw new ProviderFailure('The provider answered with something that is no chat completion.', 'failed')
    const model = wordOf(completion.model)
    yield { type: 'text', text: content }
    yield* calls.chunks()
    if (completion.usage) yield { type: 'usage', usage: usageOf(completion.usage), model }
    yield { type: 'end', model }
  }

  return {
    async *reply(request, { stream, signal }) {
      try {
        yield* stream ? streamed(request, signal) : whole(request, signal)
      } catch (error) {
        signal.throwIfAborted()
        throw failureOf(error)
      }
    },
  }
}

const asked = ({ model, messages, tools = [] }: ProviderRequest) => ({
  model,
  messages: messages.map(messageOf),
  ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: 'function' as const, function: tool })) }),
})

function messageOf(prompt: Prompt): OpenAI.ChatCompletionMessageParam {
  if (prompt.role !== 'assistant' || !prompt.tool_calls) return prompt as OpenAI.ChatCompletionMessageParam
  const tool_calls = prompt.tool_calls.map(({ id, ...call }) => ({ id, type: 'function' as const, function: call }))
  return { role: 'assistant', content: prompt.content, tool_calls }
}

const wordOf = (model: unknown) =>
  typeof model === 'string' && model !== '' && model.length <= 200 ? model : undefined

const usageOf = (usage: { prompt_tokens?: unknown; completion_tokens?: unknown }): ReportedUsage => ({
  prompt_tokens: typeof usage.prompt_tokens === 'number' ? usage.prompt_tokens : Number.NaN,
  completion_tokens: typeof usage.completion_tokens === 'number' ? usage.completion_tokens : Number.NaN,
})

/** Facts about the failure, without its text: a server's error message may quote the key or the prompt. */
function failureOf(error: unknown): ProviderFailure {
  if (error instanceof ProviderFailure) return error
  if (error instanceof APIConnectionError) return new ProviderFailure('The provider could not be reached.', 'failed')
  if (!(error instanceof APIError) || typeof error.status !== 'number')
    return new ProviderFailure('The provider answered with something that cannot be read.', 'failed')
  const busy = error.status === 429 || error.status === 502 || error.status === 503
  return new ProviderFailure(
    `The provider answered with status ${error.status}.`,
    busy ? 'busy' : 'failed',
    retryAfter(error.headers),
  )
}

/** RFC 9110, 10.2.3: seconds or a date. */
function retryAfter(headers: Headers | undefined): number | undefined {
  const value = headers?.get('retry-after')?.trim()
  if (!value) return undefined
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined
}

/** An answer that never ends, or that unpacks to gigabytes, ends here. */
function bounded(response: Response, most: number): Response {
  if (response.body === null) return response
  // Bun reads no more than was announced, but what is compressed becomes more.
  const announced = response.headers.get('content-length')
  if (announced !== null && Number(announced) <= most && !response.headers.has('content-encoding')) return response
  const reader = response.body.getReader()
  let left = most
  // What came before the limit is handed on before the error, however much of it Bun reads at once.
  const counted = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (left < 0) {
          reader.cancel().catch(() => {})
          throw new ProviderFailure(`The provider answered with more than ${most} bytes.`, 'failed')
        }
        const { done, value } = await reader.read()
        if (done) return controller.close()
        left -= value.byteLength
        controller.enqueue(left < 0 ? value.subarray(0, left) : value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
  return new Response(counted, response)
}
