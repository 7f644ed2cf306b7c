import { type Static, type TObject, type TSchema, type TString, Type } from '@sinclair/typebox'
import type { Egress } from '../egress/egress'
import type { Clock } from '../ids'
import type { Prompt } from '../providers/provider'
import type { PieceRewriter } from '../text'
import type { EventType, PluginEvent } from './events'

/** What a plugin gets to work with: its tenant, what the tenant configured, and the ways out. */
export type PluginContext<Config> = {
  readonly tenant_id: string
  /** Valid against the plugin's schema, with its secrets in the clear. The same object for as long as it does not change. */
  readonly config: Config
  readonly clock: Clock
  readonly egress: Egress
  readonly files: TenantFiles
  readonly usage: UsageReader
  /** Aborted when the time is over or nobody waits any longer. */
  readonly signal: AbortSignal
}

/** A folder of the tenant's own, where the operator set one (EXPORT_DIR). */
export type TenantFiles = {
  /** Replaces a file at once or not at all; returns its path below the folder. Throws where there is no folder. */
  write(name: string, content: string): Promise<string>
}

/** One UTC day (YYYY-MM-DD) of one model. */
export type DailyUsage = {
  day: string
  model: string
  replies: number
  prompt_tokens: number
  completion_tokens: number
  unique_users: number
}

/** What the tenant used; days are inclusive. */
export type UsageReader = { daily(range: { start_date: string; end_date: string }): Promise<DailyUsage[]> }

/** How long it may take, and what becomes of the chat where it throws, hangs or answers with nonsense. */
type Guard = {
  readonly deadlineMs: number
  /** `open`: the chat goes on as if the plugin were off. `closed`: the chat is refused. */
  readonly onFailure: 'open' | 'closed'
}

/**
 * What a plugin does in a chat. In this order: `admit`, before anything is stored; `prepare`, before the provider is
 * asked; `review`, when the reply is whole. Plugins come in the order of the registry, and in `review` backwards.
 */
export type ChatHooks<Config> = {
  /** May refuse the user's message, with a reason for the person who wrote it, or annotate it. */
  readonly admit?: Guard & {
    run(
      message: { readonly content: string },
      context: PluginContext<Config>,
    ): Awaitable<{ refuse: string } | { annotate: Record<string, unknown> } | undefined>
  }
  /**
   * May change what the provider is sent, and undo it in the reply as it comes, piece by piece, synchronously.
   * The stored messages stay as they were said. Called again with all of it after tools were run.
   */
  readonly prepare?: Guard & {
    run(
      messages: readonly Prompt[],
      context: PluginContext<Config>,
    ): Awaitable<{ messages: readonly Prompt[]; rewrite?: PieceRewriter } | undefined>
  }
  /** May change the reply before it is stored, or annotate it. */
  readonly review?: Guard & {
    /** True where it may change the text: a streamed reply is then held back until it has spoken. */
    mayChange(config: Config): boolean
    run(
      reply: { readonly text: string },
      context: PluginContext<Config>,
    ): Awaitable<{ text?: string; annotate?: Record<string, unknown> } | undefined>
  }
}

/** A function that the model may call. Runs on the server, with nothing but what the schema lets through. */
export type Tool<Config, Parameters extends TObject = TObject> = {
  /** Letters, digits and underscores; unique among all plugins. */
  readonly name: string
  readonly description: string
  readonly parameters: Parameters
  readonly deadlineMs: number
  /** What the model reads. What it throws, the model reads as a failure without details. */
  run(args: Static<Parameters>, context: PluginContext<Config>): Awaitable<string>
}

/** Runs as a job: at least once, again after a failure, after the transaction that caused the event. */
export type Subscription<Config> = {
  /** Of these, which the tenant wants. */
  types(config: Config): readonly EventType[]
  /** `id` is the same at every attempt. Throws EgressError or any other error to be tried again. */
  run(event: PluginEvent & { readonly id: string }, context: PluginContext<Config>): Promise<void>
}

/** Recurring work of a tenant; runs as a job. */
export type Schedule<Config> = {
  /** Cron expression in UTC; undefined where the tenant wants none. */
  cron(config: Config): string | undefined
  /** `id` is the same at every attempt. */
  run(due: { readonly at: Date; readonly id: string }, context: PluginContext<Config>): Promise<void>
}

/** A capability that a tenant can switch on: a value that keeps this contract, in a file of its own. */
export type Plugin<Config extends TObject = TObject> = {
  /** As paths and rows call it: snake_case. */
  readonly name: string
  readonly version: string
  readonly description: string
  /** Closed (`shape`). Its top-level fields may be `secret` and `address`. */
  readonly config: Config
  /** What a schema cannot say of a config: undefined, or what is wrong and where (`/patterns/0`), without the value. */
  check?(config: Static<Config>): { path: string; message: string } | undefined
  readonly chat?: ChatHooks<Static<Config>>
  readonly tools?: readonly Tool<Static<Config>>[]
  readonly events?: Subscription<Static<Config>>
  readonly schedule?: Schedule<Static<Config>>
}

type Awaitable<T> = T | Promise<T>

/** Keeps the type of the config for the hooks, and forgets it for the registry: each hook is only ever given its own. */
export function plugin<Config extends TObject>(definition: Plugin<Config>): Plugin {
  return definition as unknown as Plugin
}

/** As `plugin`, for a tool's parameters. */
export function tool<Config, Parameters extends TObject>(definition: Tool<Config, Parameters>): Tool<Config> {
  return definition as unknown as Tool<Config>
}

type SecretOptions = {
  description?: string
  minLength?: number
  maxLength?: number
  pattern?: string
  /** Makes one where the tenant gives none; it is shown once, in the answer to that request. */
  generate?: () => string
}

/** A field that is stored sealed, and masked wherever it is read. Only at the top level of a config. */
export const secret = (options: SecretOptions = {}): TString =>
  Type.String({ maxLength: 4096, ...options, [secretMark]: true, writeOnly: true })

/** A field that says where secrets are sent: when it changes, they have to be sent again. */
export const address = <T extends TSchema>(schema: T): T => ({ ...schema, [addressMark]: true })

const secretMark = 'x-secret'
const addressMark = 'x-address'

export const isSecret = (schema: TSchema): boolean => schema[secretMark] === true
export const isAddress = (schema: TSchema): boolean => schema[addressMark] === true
