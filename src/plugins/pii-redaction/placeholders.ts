import type { PieceRewriter } from '../../text'

/** Stands for values in the texts of one request: the same value has the same placeholder, `[EMAIL_1]`. */
export type Placeholders = {
  /** False while nothing was replaced. */
  readonly used: boolean
  for(label: string, value: string): string
  /** Puts the values back into a reply. */
  rewriter(): PieceRewriter
}

/** Anything that reads like a placeholder, of this request or not. */
const lookalike = /\[[A-Z0-9_]{4,50}\]/g

/**
 * Numbers count from 1 in the order of appearance, so that a conversation that grows keeps them. What already reads
 * like a placeholder in `texts`, because somebody typed it, is never given to a value, and so is never put back as one.
 */
export function placeholders(texts: readonly string[]): Placeholders {
  const typed = new Set(texts.flatMap((text) => text.match(lookalike) ?? []))
  const counts = new Map<string, number>()
  const given = new Map<string, string>()
  const values = new Map<string, string>()

  function next(label: string): string {
    let number = (counts.get(label) ?? 0) + 1
    while (typed.has(`[${label}_${number}]`)) number++
    counts.set(label, number)
    return `[${label}_${number}]`
  }

  return {
    get used() {
      return values.size > 0
    },
    for(label, value) {
      const key = `${label} ${value}`
      const known = given.get(key)
      if (known) return known
      const placeholder = next(label)
      given.set(key, placeholder)
      values.set(placeholder, value)
      return placeholder
    },
    rewriter: () => rewriter(values),
  }
}

/** Holds back only what may still become one of these placeholders: at most one of them, less its bracket. */
function rewriter(values: ReadonlyMap<string, string>): PieceRewriter {
  const sorted = [...values.keys()].sort()
  let held = ''
  return {
    next(piece) {
      const text = held + piece
      const open = text.lastIndexOf('[')
      const end = open >= 0 && begins(sorted, text.slice(open, open + longest)) ? open : text.length
      held = text.slice(end)
      return text.slice(0, end).replace(lookalike, (found) => values.get(found) ?? found)
    },
    rest() {
      const rest = held
      held = ''
      return rest
    },
  }
}

/** No placeholder is longer. */
const longest = 52

/** Whether one of these, which are sorted, begins with `start` and goes on. */
function begins(sorted: readonly string[], start: string): boolean {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < start) low = middle + 1
    else high = middle
  }
  return sorted[low] !== start && (sorted[low]?.startsWith(start) ?? false)
}
