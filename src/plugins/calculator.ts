import { Type } from '@sinclair/typebox'
import { shape } from '../schema'
import { ArithmeticMistake, evaluate, longestExpression, words } from './arithmetic'
import { plugin, tool } from './plugin'

/** Arithmetic for models, which are bad at it. */
export const calculator = plugin({
  name: 'calculator',
  version: '1.0.0',
  description: 'Lets the model compute: arithmetic on numbers, run on the server.',
  config: shape({}),
  tools: [
    tool({
      name: 'calculator',
      description: `Computes an arithmetic expression and returns the number. Knows + - * / % ^ ( ) and ${words.join(', ')}; angles are in radians.`,
      parameters: shape({
        expression: Type.String({
          minLength: 1,
          maxLength: longestExpression,
          description: 'For example: (19.99 * 3) * 1.19',
        }),
      }),
      deadlineMs: 1000,
      run: ({ expression }) => answer(expression),
    }),
  ],
})

/** A mistake is an answer too: the model reads what is wrong and can do better. */
function answer(expression: string): string {
  try {
    return written(evaluate(expression))
  } catch (error) {
    if (error instanceof ArithmeticMistake) return `Not computed: ${error.message}.`
    throw error
  }
}

/** Whole numbers in full as far as doubles hold them; all others with 12 significant digits, so that 0.1 + 0.2 is 0.3. */
const written = (value: number) => String(Number.isSafeInteger(value) ? value : Number(value.toPrecision(12)))
