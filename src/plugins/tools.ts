import type { TObject } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import type { OfferedTool, ToolCall } from '../providers/provider'
import { storable } from '../text'
import type { Enabled } from './enabled'
import { guarded, type Working } from './guard'
import type { Tool } from './plugin'

type AnyTool = Tool<Record<string, unknown>>

/** The tools of the plugins that a tenant switched on. */
export type Toolbox = {
  readonly offered: readonly OfferedTool[]
  /**
   * Never throws for what the model or a plugin did wrong: the model reads about it. Throws the signal's reason.
   * `rewrite` is what becomes of every text among the arguments before the tool sees them.
   */
  run(call: ToolCall, rewrite: (text: string) => string): Promise<ToolRun>
}

/** A call as it was run, and what the model reads of it. */
export type ToolRun = { name: string; arguments: Record<string, unknown>; result: string }

/** Characters of one result; what is longer is cut. */
const longestResult = 32_000

export function toolbox(working: Working, enabled: readonly Enabled[]): Toolbox {
  const tools = new Map<string, { tool: AnyTool; enabled: Enabled }>()
  for (const each of enabled) {
    for (const tool of each.plugin.tools ?? []) tools.set(tool.name, { tool, enabled: each })
  }

  return {
    offered: [...tools.values()].map(({ tool }) => offer(tool)),

    async run({ name, arguments: text }, rewrite) {
      const found = tools.get(name)
      if (!found) return { name: storable(name.slice(0, 64)), arguments: {}, result: 'Error: there is no such tool.' }
      const args = parse(text, rewrite)
      const wrong = args === undefined ? 'the arguments are no JSON object.' : misfit(found.tool, args)
      if (args === undefined || wrong !== undefined) return { name, arguments: {}, result: `Error: ${wrong}` }
      const rule = { doing: `tool ${name}`, deadlineMs: found.tool.deadlineMs, isSense: isText }
      // What the tool does to them is not stored.
      const own = structuredClone(args)
      const done = await guarded<string>(working, found.enabled, rule, (context) => found.tool.run(own, context))
      return { name, arguments: args, result: 'result' in done ? cut(done.result) : 'Error: the tool failed.' }
    },
  }
}

const isText = (result: unknown) => typeof result === 'string'

const cut = (result: string) =>
  storable(result.length > longestResult ? `${result.slice(0, longestResult)} (cut)` : result)

const offers = new WeakMap<AnyTool, OfferedTool>()
function offer(tool: AnyTool): OfferedTool {
  const { name, description, parameters } = tool
  // Through JSON, because schemas carry symbols that are TypeBox's own.
  const made = offers.get(tool) ?? { name, description, parameters: JSON.parse(JSON.stringify(parameters)) }
  offers.set(tool, made)
  return made
}

function parse(text: string, rewrite: (text: string) => string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text || '{}', (_, inner) =>
      typeof inner === 'string' ? storable(rewrite(inner)) : inner,
    )
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

const checks = new WeakMap<TObject, TypeCheck<TObject>>()
function misfit({ parameters }: AnyTool, args: Record<string, unknown>): string | undefined {
  const check = checks.get(parameters) ?? TypeCompiler.Compile(parameters)
  checks.set(parameters, check)
  const wrong = check.Errors(args).First()
  return wrong && `${wrong.path || 'the arguments'}: ${wrong.message}`
}
