import { type Static, Type } from '@sinclair/typebox'
import type { Prompt } from '../../providers/provider'
import { oneOf, shape } from '../../schema'
import { compilePattern, mostPatterns, oncePerConfig, PatternSource, patternMistake, timeLimit } from '../patterns'
import { plugin } from '../plugin'
import { findKind, type Kind, kinds, type Place } from './kinds'
import { type Placeholders, placeholders } from './placeholders'
import { plain } from './plain'

const Config = shape({
  kinds: Type.Optional(
    Type.Array(oneOf(...kinds), { uniqueItems: true, description: 'What is looked for; all four if not given' }),
  ),
  patterns: Type.Optional(
    Type.Array(
      shape({
        name: Type.String({
          pattern: '^[a-z][a-z0-9_]{0,29}$',
          description: 'What stands in its place: employee_id becomes [EMPLOYEE_ID_1]',
        }),
        pattern: PatternSource,
      }),
      { maxItems: mostPatterns, description: 'What else is looked for' },
    ),
  ),
  restore: Type.Optional(
    Type.Boolean({ default: false, description: 'Put the values back where the reply mentions them' }),
  ),
})
type Config = Static<typeof Config>

/** Keeps personal data from the provider. Names and addresses are not recognised. */
export const piiRedaction = plugin({
  name: 'pii_redaction',
  version: '1.0.0',
  description: 'Replaces e-mail addresses, phone, card and account numbers before a model sees them.',
  config: Config,
  check,
  chat: {
    prepare: {
      deadlineMs: 1000,
      onFailure: 'closed', // what could not be redacted does not leave
      run: (messages, { config }) => redact(messages, config),
    },
  },
})

function check({ kinds: wanted, patterns = [] }: Config): { path: string; message: string } | undefined {
  if (wanted?.length === 0 && patterns.length === 0) return { path: '/kinds', message: 'leaves nothing to look for' }
  for (const [index, { name, pattern }] of patterns.entries()) {
    const path = `/patterns/${index}`
    const taken = [...kinds, ...patterns.slice(0, index).map((earlier) => earlier.name)]
    if (taken.includes(name)) return { path: `${path}/name`, message: 'is taken' }
    const message = patternMistake(pattern)
    if (message) return { path: `${path}/pattern`, message }
  }
  return undefined
}

function redact(messages: readonly Prompt[], config: Config) {
  const find = finder(config)
  const inTime = timeLimit(250)
  const stands = placeholders(config.restore ? messages.flatMap(textsOf) : [])
  const redacted = (text: string) => replaced(text, find(text, inTime), stands)
  const changed = messages.map((message): Prompt => {
    if (message.role !== 'assistant' || !message.tool_calls) return { ...message, content: redacted(message.content) }
    const tool_calls = message.tool_calls.map((call) => ({ ...call, arguments: redacted(call.arguments) }))
    return { ...message, content: redacted(message.content), tool_calls }
  })
  if (!stands.used) return undefined
  return config.restore ? { messages: changed, rewrite: stands.rewriter() } : { messages: changed }
}

const textsOf = (message: Prompt): string[] =>
  message.role === 'assistant'
    ? [message.content, ...(message.tool_calls ?? []).map((call) => call.arguments)]
    : [message.content]

type Find = { place: Place; label: string }

const finder = oncePerConfig((config: Config) => {
  const wanted: readonly Kind[] = config.kinds ?? kinds
  const own = (config.patterns ?? []).map(({ name, pattern }) => ({
    label: name.toUpperCase(),
    ...compilePattern(pattern),
  }))
  return (text: string, inTime: (ahead: number) => void): Find[] => {
    const { text: read, original } = plain(text)
    const finds: Find[] = []
    for (const kind of wanted)
      for (const place of findKind[kind](read)) finds.push({ place: original(...place), label: kind.toUpperCase() })
    // As the tenant wrote them, on the text as it was written.
    for (const { label, find } of own) {
      inTime(text.length)
      for (const place of find(text)) {
        finds.push({ place, label })
        inTime(text.length - place[1])
      }
    }
    return finds
  }
})

function replaced(text: string, finds: Find[], stands: Placeholders): string {
  let result = ''
  let end = 0
  for (const { place, label } of merged(finds)) {
    result += text.slice(end, place[0]) + stands.for(label, text.slice(...place))
    end = place[1]
  }
  return end ? result + text.slice(end) : text
}

/** In order. What overlaps becomes one, of the longest's kind, so that no rest of what was found stays. */
function merged(finds: Find[]): Find[] {
  const result: Find[] = []
  let longest = 0
  for (const find of finds.sort((a, b) => a.place[0] - b.place[0])) {
    const last = result.at(-1)
    const length = find.place[1] - find.place[0]
    if (!last || find.place[0] >= last.place[1]) {
      result.push(find)
      longest = length
      continue
    }
    const label = length > longest ? find.label : last.label
    result[result.length - 1] = { place: [last.place[0], Math.max(last.place[1], find.place[1])], label }
    longest = Math.max(longest, length)
  }
  return result
}
