/** What the model wants to have run; `arguments` is JSON as the model wrote it, right or not. */
export type ToolCall = { id: string; name: string; arguments: string }

/** One entry of what a model is given. */
export type Prompt =
  | { role: 'system' | 'user'; content: string }
  | { role: 'assistant'; content: string; tool_calls?: readonly ToolCall[] }
  | { role: 'tool'; content: string; tool_call_id: string }

/** A function that the model may ask for; `parameters` is a JSON schema. */
export type OfferedTool = { name: string; description: string; parameters: Record<string, unknown> }

export type ProviderRequest = { model: string; messages: readonly Prompt[]; tools?: readonly OfferedTool[] }

/** Tokens as the provider counted them. Not trusted: see chat/usage.ts. */
export type ReportedUsage = { prompt_tokens: number; completion_tokens: number }

/**
 * What arrives of a reply, in order: pieces of text, calls of tools, what it cost, and at last the word that it is whole.
 * An empty piece of text says that the provider is at work, for example thinking.
 */
export type Chunk =
  | { type: 'text'; text: string }
  | { type: 'call'; call: ToolCall }
  | { type: 'usage'; usage: ReportedUsage; model?: string | undefined }
  | { type: 'end'; model?: string | undefined }

/** A server that hosts models. */
export interface Provider {
  /**
   * The reply to `request`, piece by piece, or in one piece where `stream` is false. Stops asking when `signal` is aborted.
   * Ends without `{ type: 'end' }` when the reply was cut; throws ProviderFailure when there is none.
   */
  reply(request: ProviderRequest, options: { stream: boolean; signal: AbortSignal }): AsyncIterable<Chunk>
}

/** The provider could not be reached, refused, or spoke nonsense. The message is for the log; it never holds the key. */
export class ProviderFailure extends Error {
  override readonly name = 'ProviderFailure'

  constructor(
    message: string,
    /** `busy`: may work a little later (429, 502, 503). `failed`: will not by itself. */
    readonly kind: 'busy' | 'failed',
    readonly retryAfterSeconds?: number,
  ) {
    super(message)
  }
}
