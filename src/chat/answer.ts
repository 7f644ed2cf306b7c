import type { Deps } from '../deps'
import { AppError } from '../errors'
import type { ToolRun } from '../plugins/tools'
import { ask } from '../providers/ask'
import type { Prompt, ReportedUsage, ToolCall } from '../providers/provider'
import { inSeries, storable, wellFormed } from '../text'
import type { Turn } from './turn'
import { addUsage, type Usage, usageOf } from './usage'

/** So often the model may call tools in one reply; then it is asked once more without any, and has to answer. */
export const mostToolRounds = 5
/** Calls in one round; those beyond are not run. */
export const mostCallsAtOnce = 8

/** What came of asking: all there is of it, even if it ended in a failure. */
export type Answer = {
  text: string
  model: string
  /** Undefined where the model said nothing that could have cost anything. */
  usage: Usage | undefined
  runs: ToolRun[]
  /** Why it is not whole. */
  failure: unknown
}

type Asking = { stream: boolean; signal: AbortSignal; onText: (text: string) => void }

/** Asks the model, runs the tools that it calls, and asks again until it has answered. Never throws: see `failure`. */
export async function answer(
  deps: Deps,
  { model: wanted, plugins }: Turn,
  base: readonly Prompt[],
  { stream, signal, onText }: Asking,
): Promise<Answer> {
  const { provider, limits, metrics } = deps
  const deadline = performance.now() + limits.provider.totalMs
  const so: Answer = { text: '', model: wanted, usage: undefined, runs: [], failure: undefined }
  const said: Prompt[] = [...base]
  try {
    for (let round = 0; ; round++) {
      const offered = round < mostToolRounds ? plugins.tools.offered : []
      const { text, calls, rewrite } = await oneRound(offered)
      if (calls.length === 0 || offered.length === 0) break
      said.push(...(await run(text, calls, rewrite)))
    }
    if (so.text === '')
      throw new AppError('provider_unavailable', 'The model called tools and gave no reply; try again.')
  } catch (error) {
    so.failure = error ?? new Error('The reply was stopped without a reason.')
  }
  return so

  async function oneRound(tools: typeof plugins.tools.offered) {
    const { messages, rewriters } = await plugins.prepare(said)
    const rewriter = inSeries(rewriters.length === 0 ? [wellFormed()] : [wellFormed(), ...rewriters, wellFormed()])
    const request = { model: wanted, messages, ...(tools.length > 0 && { tools }) }
    const left = {
      ...limits.provider,
      totalMs: Math.max(1, deadline - performance.now()),
      longestReply: limits.provider.longestReply - so.text.length,
    }
    const calls: ToolCall[] = []
    let text = ''
    let heard = ''
    let reported: ReportedUsage | undefined
    const tell = (piece: string) => {
      text += piece
      so.text += piece
      if (piece !== '') onText(piece)
    }
    try {
      for await (const chunk of ask(provider, request, {
        stream,
        signal,
        limits: left,
        onAttempt: metrics.providerAttempt,
      })) {
        if (chunk.type === 'text') {
          heard += chunk.text
          tell(rewriter.next(chunk.text))
        } else if (chunk.type === 'call') {
          heard += chunk.call.arguments
          calls.push(chunk.call)
        } else {
          if (chunk.model !== undefined) so.model = storable(chunk.model)
          if (chunk.type === 'usage') reported = chunk.usage
        }
      }
      tell(rewriter.rest())
    } finally {
      if (heard !== '' || reported) so.usage = addUsage(so.usage, usageOf(reported, messages, heard))
    }
    return { text, calls, rewrite: (value: string) => rewriter.next(value) + rewriter.rest() }
  }

  /** The model's words and the results, as the model is to read them again: with what the tools saw. */
  async function run(said: string, calls: readonly ToolCall[], rewrite: (text: string) => string): Promise<Prompt[]> {
    const runs = await Promise.all(
      calls.map(async (call, at): Promise<ToolRun> => {
        if (at < mostCallsAtOnce) return await plugins.tools.run(call, rewrite)
        return { name: storable(call.name.slice(0, 64)), arguments: {}, result: 'Error: too many calls at once.' }
      }),
    )
    so.runs.push(...runs)
    const tool_calls = calls.map((call, at) => {
      const seen = runs[at]?.arguments ?? {}
      return Object.keys(seen).length > 0 ? { ...call, arguments: JSON.stringify(seen) } : call
    })
    const results = runs.map(({ result }, at) => ({
      role: 'tool' as const,
      content: result,
      tool_call_id: calls[at]?.id ?? '',
    }))
    return [{ role: 'assistant', content: said, tool_calls }, ...results]
  }
}
