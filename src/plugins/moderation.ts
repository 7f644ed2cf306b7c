import { type Static, Type } from '@sinclair/typebox'
import { oneOf, shape } from '../schema'
import { compilePattern, mostPatterns, oncePerConfig, PatternSource, patternMistake } from './patterns'
import { plugin } from './plugin'
import { wordFinder, wordsOf } from './words'

const Config = shape({
  words: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
      maxItems: 1000,
      description: 'Words or groups of words; found as whole words, in upper or lower case',
    }),
  ),
  patterns: Type.Optional(
    Type.Array(PatternSource, { maxItems: mostPatterns, description: 'Found anywhere in a text' }),
  ),
  action: oneOf('refuse', 'flag'),
  message: Type.Optional(
    Type.String({ minLength: 1, maxLength: 500, description: 'What somebody reads whose message is refused' }),
  ),
  check_replies: Type.Optional(Type.Boolean({ default: false, description: 'Apply the rules to replies too' })),
})
type Config = Static<typeof Config>

/** Rules of a tenant for what is said in its chats. */
export const moderation = plugin({
  name: 'moderation',
  version: '1.0.0',
  description:
    'Refuses or flags messages, and replies if chosen, that contain certain words or match certain patterns.',
  config: Config,
  check,
  chat: {
    admit: {
      deadlineMs: 1000,
      // For both actions, because a failure of it is that of a rule that may be there to protect somebody.
      onFailure: 'closed',
      run({ content }, { config }) {
        const broken = brokenRules(config)(content)
        if (broken.length === 0) return undefined
        return config.action === 'refuse' ? { refuse: messageOf(config) } : { annotate: note(broken) }
      },
    },
    review: {
      deadlineMs: 1000,
      onFailure: 'closed',
      mayChange: (config) => config.check_replies === true && config.action === 'refuse',
      run({ text }, { config }) {
        const broken = config.check_replies ? brokenRules(config)(text) : []
        if (broken.length === 0) return undefined
        const annotate = note(broken)
        return config.action === 'refuse' ? { text: messageOf(config), annotate } : { annotate }
      },
    },
  },
})

function check({ words = [], patterns = [] }: Config): { path: string; message: string } | undefined {
  if (words.length === 0 && patterns.length === 0) return { path: '/words', message: 'leaves no rule, nor do patterns' }
  const empty = words.findIndex((word) => wordsOf(word).length === 0)
  if (empty >= 0) return { path: `/words/${empty}`, message: 'has no letter and no digit' }
  for (const [index, pattern] of patterns.entries()) {
    const message = patternMistake(pattern)
    if (message) return { path: `/patterns/${index}`, message }
  }
  return undefined
}

const messageOf = (config: Config) => config.message ?? 'The rules of this service do not allow this message.'

/** Which rules, by their places in the config: never their words, which the annotated may be shown. */
const note = (broken: readonly string[]) => ({ matched: broken.length, rules: broken.slice(0, mostNoted) })

const mostNoted = 20

/** `/words/3`, `/patterns/0`: the rules that a text breaks, each once. */
const brokenRules = oncePerConfig(({ words = [], patterns = [] }: Config) => {
  const findWords = wordFinder(words)
  const compiled = patterns.map(compilePattern)
  return (text: string): string[] => {
    const found = findWords(text).map((index) => `/words/${index}`)
    for (const [index, pattern] of compiled.entries()) if (pattern.test(text)) found.push(`/patterns/${index}`)
    return found
  }
})
