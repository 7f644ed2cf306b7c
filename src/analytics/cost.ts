import type { Prices } from '../database/tables'

export type Tokens = { model: string; prompt_tokens: number; completion_tokens: number }

const million = 1_000_000n

/**
 * What the tokens of one model cost, in whole millionths of the currency unit: reckoned exactly and rounded once, half up,
 * as a line of an invoice is. Undefined where the model has no price.
 */
export function costOf(prices: Prices, { model, prompt_tokens, completion_tokens }: Tokens): number | undefined {
  const price = Object.hasOwn(prices, model) ? prices[model] : undefined
  if (!price) return undefined
  const exact =
    BigInt(prompt_tokens) * BigInt(price.prompt_micros_per_million_tokens) +
    BigInt(completion_tokens) * BigInt(price.completion_micros_per_million_tokens)
  return Number((exact + million / 2n) / million)
}

/** The sum of the lines, one for each model; models without a price add nothing. Undefined where the tenant has no prices. */
export function costOfAll(prices: Prices, lines: readonly Tokens[]): number | undefined {
  if (Object.keys(prices).length === 0) return undefined
  return lines.reduce((sum, line) => sum + (costOf(prices, line) ?? 0), 0)
}
