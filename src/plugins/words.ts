/**
 * Finds which of many entries, of one word or several, stand in a text as whole words: one way through the text,
 * however many entries there are. Returns their indices in order.
 *
 * A word is a run of letters, marks, digits and underscores; what stands between two words does not matter. Words are
 * compared without regard to case, to compatibility forms (full width, ligatures) and to characters that are not seen.
 * Not caught: spellings with other characters (pass1on, a Cyrillic a), inflected forms, letters s p e l l e d apart,
 * and words of languages that are written without spaces, for which patterns do better.
 */
export function wordFinder(entries: readonly string[]): (text: string) => number[] {
  const root: Step = { next: new Map() }
  for (const [index, entry] of entries.entries()) {
    let step = root
    for (const word of wordsOf(entry)) {
      const next: Step = step.next.get(word) ?? { next: new Map() }
      step.next.set(word, next)
      step = next
    }
    step.entry ??= index
  }
  if (root.next.size === 0) return () => []
  return (text) => {
    const found = new Set<number>()
    const words = wordsOf(text)
    for (let start = 0; start < words.length; start++) {
      let step = root.next.get(words[start] ?? '')
      for (let place = start + 1; step; place++) {
        if (step.entry !== undefined) found.add(step.entry)
        step = step.next.get(words[place] ?? '') // no entry holds an empty word
      }
    }
    return [...found].sort((a, b) => a - b)
  }
}

/** After the words so far: what may follow, and which entry they are. */
type Step = { readonly next: Map<string, Step>; entry?: number }

/** Both ways of case, because that makes ß and SS the same. */
export function wordsOf(text: string): string[] {
  const folded = text.normalize('NFKC').replace(unseen, '').toUpperCase().toLowerCase()
  return folded.match(word) ?? []
}

const unseen = /\p{Default_Ignorable_Code_Point}/gu
const word = /[\p{L}\p{M}\p{N}_]+/gu
