import type { Deps } from '../deps'
import { invalid } from '../errors'
import type { Prompt } from '../providers/provider'
import { type PieceRewriter, storable } from '../text'
import { type Enabled, enabledPlugins } from './enabled'
import { guarded, noteFailure, refusedFor, type Working } from './guard'
import type { ChatHooks } from './plugin'
import { type Toolbox, toolbox } from './tools'

type Hooks = Required<ChatHooks<Record<string, unknown>>>
/** By plugin. */
export type Annotations = Record<string, Record<string, unknown>>

/** What the plugins that a tenant switched on do in one chat. */
export type ChatPlugins = {
  readonly enabled: readonly Enabled[]
  readonly tools: Toolbox
  /** Throws invalid_request when a plugin refuses the message. */
  admit(content: string): Promise<Annotations | undefined>
  /** What the provider is to be sent, and how its words become the reply's. */
  prepare(messages: readonly Prompt[]): Promise<{ messages: readonly Prompt[]; rewriters: readonly PieceRewriter[] }>
  /** True where `review` may change the text, so that nobody may have read it before. */
  readonly holdsReply: boolean
  review(text: string): Promise<{ text: string; annotations: Annotations | undefined }>
}

/** One prepared query, and nothing more where nothing is switched on. */
export async function chatPlugins(deps: Deps, tenant_id: string, signal: AbortSignal): Promise<ChatPlugins> {
  const enabled = await enabledPlugins(deps, tenant_id, (plugin) => {
    const isNeeded = Object.values(plugin.chat ?? {}).some((hook) => hook.onFailure === 'closed')
    if (isNeeded) throw refusedFor({ plugin, config: {} }, new Error('What the tenant configured cannot be read.'))
  })
  const working: Working = { deps, tenant_id, signal }

  /** Those that have the hook, one after the other; undefined where one failed that may. */
  async function* each<Name extends keyof Hooks, T>(
    name: Name,
    plugins: readonly Enabled[],
    run: (hook: Hooks[Name], ...context: Parameters<Parameters<typeof guarded<T>>[3]>) => T | Promise<T>,
    isSense: (result: T) => boolean,
  ): AsyncGenerator<{ enabled: Enabled; result: T }> {
    for (const enabled of plugins) {
      const hook = enabled.plugin.chat?.[name] as Hooks[Name] | undefined
      if (!hook) continue
      const rule = { doing: name, deadlineMs: hook.deadlineMs, isSense }
      const done = await guarded<T>(working, enabled, rule, (context) => run(hook, context))
      if ('result' in done) yield { enabled, result: done.result }
      else if (hook.onFailure === 'closed') throw refusedFor(enabled, done.failed)
    }
  }

  /** What cannot say whether it may change a reply has failed to review it. */
  const mayChange = (enabled: Enabled): boolean => {
    const review = enabled.plugin.chat?.review
    try {
      return review?.mayChange(enabled.config) ?? false
    } catch (error) {
      noteFailure(deps, tenant_id, enabled, 'review', error)
      if (review?.onFailure === 'closed') throw refusedFor(enabled, error)
      return false
    }
  }
  const changing = new Set(enabled.filter(mayChange))

  return {
    enabled,
    tools: toolbox(working, enabled),
    holdsReply: changing.size > 0,

    async admit(content) {
      const annotations: Annotations = {}
      const verdicts = each('admit', enabled, (hook, context) => hook.run({ content }, context), isVerdict)
      for await (const { enabled, result } of verdicts) {
        if (result && 'refuse' in result) throw invalid([{ in: 'body', path: '/message', message: result.refuse }])
        if (result) annotations[enabled.plugin.name] = result.annotate
      }
      return orNone(annotations)
    },

    async prepare(messages) {
      let prepared = messages
      const rewriters: PieceRewriter[] = []
      const changes = each('prepare', enabled, (hook, context) => hook.run(copyOf(prepared), context), isPreparation)
      for await (const { enabled, result } of changes) {
        if (!result) continue
        prepared = result.messages
        if (result.rewrite) rewriters.unshift(steadied(working, enabled, result.rewrite))
      }
      return { messages: prepared, rewriters }
    },

    async review(text) {
      let reviewed = text
      const annotations: Annotations = {}
      const changes = each(
        'review',
        enabled.toReversed(),
        (hook, context) => hook.run({ text: reviewed }, context),
        isReview,
      )
      for await (const { enabled, result } of changes) {
        if (!result) continue
        if (result.annotate) annotations[enabled.plugin.name] = result.annotate
        // One that did not say it may change the text comes too late to do it.
        if (changing.has(enabled)) reviewed = result.text ?? reviewed
      }
      return { text: storable(reviewed), annotations: orNone(annotations) }
    },
  }
}

/** A rewriter that lets pieces pass as they are once it has failed, where the chat may go on without it. */
function steadied({ deps, tenant_id }: Working, enabled: Enabled, rewriter: PieceRewriter): PieceRewriter {
  let broken = false
  const attempt = (step: () => string, otherwise: string): string => {
    if (broken) return otherwise
    try {
      const piece = step()
      if (typeof piece !== 'string') throw new Error('The plugin rewrote a piece to something that is no text.')
      return piece
    } catch (error) {
      broken = true
      noteFailure(deps, tenant_id, enabled, 'rewrite', error)
      if (enabled.plugin.chat?.prepare?.onFailure === 'closed') throw refusedFor(enabled, error)
      return otherwise
    }
  }
  return { next: (piece) => attempt(() => rewriter.next(piece), piece), rest: () => attempt(() => rewriter.rest(), '') }
}

/** A plugin that changes what it was given, and then fails, has changed nothing. */
const copyOf = (messages: readonly Prompt[]) => messages.map((message) => ({ ...message }))

const orNone = (annotations: Annotations) => (Object.keys(annotations).length > 0 ? annotations : undefined)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
/** Annotations are stored, so they are JSON, little of it, and such as Postgres takes: no NUL, no half of a pair. */
const isAnnotation = (value: unknown) => {
  const text = isObject(value) ? JSON.stringify(value) : ''
  return text !== '' && text.length <= 4096 && !/\\u(0000|d[89a-f])/i.test(text)
}

const isVerdict = (result: unknown) =>
  result === undefined ||
  (isObject(result) && (typeof result.refuse === 'string' ? result.refuse !== '' : isAnnotation(result.annotate)))

const isPreparation = (result: unknown) =>
  result === undefined ||
  (isObject(result) && Array.isArray(result.messages) && result.messages.length > 0 && result.messages.every(isPrompt))
const isPrompt = (prompt: unknown) =>
  isObject(prompt) && typeof prompt.content === 'string' && /^(system|user|assistant|tool)$/.test(String(prompt.role))

const isReview = (result: unknown) =>
  result === undefined ||
  (isObject(result) &&
    (result.text === undefined || (typeof result.text === 'string' && result.text !== '')) &&
    (result.annotate === undefined || isAnnotation(result.annotate)))
