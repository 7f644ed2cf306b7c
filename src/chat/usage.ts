import type { Prompt, ReportedUsage } from '../providers/provider'

/** Tokens of one reply; `is_estimated` where they are our own count. */
export type Usage = { prompt_tokens: number; completion_tokens: number; is_estimated: boolean }

/** No model reads or writes this much at once; a number above it is a mistake of the provider's. */
const mostTokens = 10_000_000

/** What the provider reported, if it can be true; else an estimate, so that a reply is never free by mistake. */
export function usageOf(reported: ReportedUsage | undefined, messages: readonly Prompt[], text: string): Usage {
  if (
    reported &&
    plausible(reported.prompt_tokens) &&
    (plausible(reported.completion_tokens) || (reported.completion_tokens === 0 && text === ''))
  ) {
    return { prompt_tokens: reported.prompt_tokens, completion_tokens: reported.completion_tokens, is_estimated: false }
  }
  return {
    prompt_tokens: messages.reduce((sum, { content }) => sum + estimate(content), 0),
    completion_tokens: estimate(text),
    is_estimated: true,
  }
}

/** Of several questions that were asked for one reply. */
export const addUsage = (one: Usage | undefined, other: Usage): Usage => ({
  prompt_tokens: (one?.prompt_tokens ?? 0) + other.prompt_tokens,
  completion_tokens: (one?.completion_tokens ?? 0) + other.completion_tokens,
  is_estimated: (one?.is_estimated ?? false) || other.is_estimated,
})

const plausible = (tokens: number) => Number.isInteger(tokens) && tokens > 0 && tokens <= mostTokens

/** About four characters make a token of English text (help.openai.com, "What are tokens and how to count them"). */
export const estimate = (text: string) => Math.ceil(text.length / 4)
