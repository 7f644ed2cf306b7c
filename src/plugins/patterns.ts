import { Type } from '@sinclair/typebox'
import { RE2JS } from 're2js'

/**
 * A pattern that a tenant wrote. RE2 takes time in proportion to text and pattern, whatever they are; what makes that
 * possible is that it knows no backreferences and no lookaround.
 */
export const PatternSource = Type.String({
  minLength: 1,
  maxLength: 500,
  description: 'A pattern in RE2 syntax: no backreferences, no lookaround; (?i) ignores case',
})

export const mostPatterns = 20

export type Pattern = {
  test(text: string): boolean
  /** Where it matches, from left to right, as [start, end). */
  find(text: string): Iterable<readonly [number, number]>
}

export function compilePattern(source: string): Pattern {
  const compiled = RE2JS.compile(source)
  return {
    test: (text) => compiled.test(text),
    *find(text) {
      if (!compiled.test(text)) return // the automaton that only says yes or no is many times faster
      for (const { 0: found, index = 0 } of compiled.matchAll(text)) if (found) yield [index, index + found.length]
    },
  }
}

/** What is wrong with a pattern, in words that do not repeat it. */
export function patternMistake(source: string): string | undefined {
  // Before it is compiled, because of these that alone can take a second.
  if (total(source.matchAll(/(?<!\\)\{(?:\d+,)?(\d+)\}/g)) > largestProgram) return tooLarge
  if ((source.match(/\\p/gi)?.length ?? 0) > mostProperties) return `names more than ${mostProperties} classes with \\p`
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(source)
  } catch {
    return 'is no pattern in RE2 syntax, which has no backreferences and no lookaround'
  }
  if (compiled.programSize() > largestProgram) return tooLarge
  if ([...compiled.matchAll(probe)].some(([found]) => found === '')) return 'matches the empty string'
  return undefined
}

/**
 * To be called before each search, with how many characters are ahead of it: throws when the searches took this long.
 * One search is linear, but there can be as many as characters, and each of `a(.*b)?` goes to the end of the text;
 * nothing outside can interrupt that. A machine that pauses during little work is no reason to throw.
 */
export function timeLimit(limitMs: number): (ahead: number) => void {
  const end = performance.now() + limitMs
  let searched = 0
  return (ahead) => {
    searched += ahead
    if (searched > muchWork && performance.now() > end)
      throw new Error(`The patterns of the tenant take longer than ${limitMs} ms.`)
  }
}

/** Characters: less than this is not worth a look at the clock. */
const muchWork = 1_000_000

/** A step of RE2 costs up to one instruction per character: a{1000} is short to write and long to run. */
const largestProgram = 500
const tooLarge = 'is too large once its repetitions are written out'
const mostProperties = 10

function total(counts: Iterable<RegExpExecArray>): number {
  let sum = 0
  for (const [, most] of counts) sum += Number(most)
  return sum
}

/** Has a beginning and an end, of words and of lines: what can match nothing does so somewhere in here. */
const probe = '\na 1_\n.é\n'

/** What is made of a config, made once for as long as the config is the same object. */
export function oncePerConfig<Config extends object, Made>(make: (config: Config) => Made): (config: Config) => Made {
  const made = new WeakMap<Config, { value: Made }>()
  return (config) => {
    const known = made.get(config) ?? { value: make(config) }
    made.set(config, known)
    return known.value
  }
}
