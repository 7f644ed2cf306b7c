import { describe, expect, test } from 'bun:test'
import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import { calculator } from '../../../src/plugins/calculator'
import { contextOf, present } from './context'

const tool = present(calculator.tools?.[0])
const compute = (expression: string) => tool.run({ expression }, contextOf({}))

describe('the calculator', () => {
  test.each([
    ['1 + 2 * 3', '7'],
    ['(1 + 2) * 3', '9'],
    ['10 - 4 - 3', '3'],
    ['100 / 10 / 5', '2'],
    ['7 % 4', '3'],
    ['2 ^ 3 ^ 2', '512'],
    ['2 ** 10', '1024'],
    ['-2 ^ 2', '-4'],
    ['2 ^ -1', '0.5'],
    ['--3', '3'],
    ['2 - -3', '5'],
    ['.5 + 1. + 1e3 + 2.5E-1', '1001.75'],
    ['0.1 + 0.2', '0.3'],
    ['0.1 + 0.2 - 0.3', '0'],
    ['1.1 * 3 - 3.3', '0'],
    ['9007199254740991 - 9007199254740990', '1'],
    ['123456789 * 54321', '6706296235269'],
    ['1 / 3', '0.333333333333'],
    ['2 / 3', '0.666666666667'],
    ['19.99 * 3', '59.97'],
    ['0 * -1', '0'],
    ['sqrt(2) ^ 2', '2'],
    ['max(1, 2, min(5, 4)) + abs(-1)', '5'],
    ['round(2.5) + floor(-1.5) + ceil(0.2)', '2'],
    ['ln(e) + log10(1000) + log2(8) + exp(0)', '8'],
    ['cos(pi) + sin(0) + tan(0)', '-1'],
    ['PI - pi', '0'],
    ['6 × 7 ÷ 2 − 1', '20'],
  ])('computes %s', async (expression, expected) => {
    const answer = await compute(expression)

    expect(answer).toBe(expected)
  })

  test.each([
    ['1 / 0', 'division by zero'],
    ['1 % (2 - 2)', 'division by zero'],
    ['9^9^9^9', 'the result is too large'],
    ['-(9^9^9^9)', 'the result is too large'],
    ['1e999', 'the result is too large'],
    ['sqrt(-1)', 'the result is not a real number'],
    ['(-8) ^ 0.5', 'the result is not a real number'],
    ['', 'the expression ends too early'],
    ['1 +', 'the expression ends too early'],
    ['(1 + 2', 'expected ")" at the end'],
    ['1 + 2)', '")" stands where the end is expected'],
    ['1 2', '"2" stands where the end is expected'],
    ['2(3)', '"(" stands where the end is expected'],
    ['1,000', '"," stands where the end is expected'],
    ['* 3', '"*" stands where a number is expected'],
    ['1..2', '".2" stands where the end is expected'],
    ['sqrt', 'expected "(" at the end'],
    ['sqrt(1, 2)', 'sqrt does not take 2 numbers'],
    ['x + 1', '"x" is not known here'],
    ['constructor', '"constructor" is not known here'],
    ['__proto__', '"_" is not known here'],
    ['process.exit(1)', '"process" is not known here'],
    ['"a" + 1', '""" is not known here'],
    ['1; 2', '";" is not known here'],
    ['a = 1', '"=" is not known here'],
    ['٣ + 1', '"٣" is not known here'],
    ['.', '"." stands where a number is expected'],
  ])('answers what is wrong with %s', async (expression, mistake) => {
    const answer = await compute(expression)

    expect(answer).toBe(`Not computed: ${mistake}.`)
  })

  test('takes expressions of up to 200 characters, and no other field', () => {
    const verdicts = [
      { expression: '1' },
      { expression: '1'.repeat(200) },
      { expression: '1'.repeat(201) },
      { expression: '' },
      { expression: '1', extra: 1 },
      {},
    ].map((given) => Value.Check(tool.parameters, given))

    expect(verdicts).toEqual([true, true, false, false, false, false])
  })

  test.each([
    ['parentheses', '('.repeat(100) + ')'.repeat(100)],
    ['numbers in parentheses', `${'('.repeat(99)}1${')'.repeat(99)}`],
    ['signs', `${'-'.repeat(199)}1`],
    ['powers', `9${'^9'.repeat(99)}`],
    ['functions', `${'ln('.repeat(66)}1`],
  ])('has an answer to 200 characters of %s', async (_, expression) => {
    const answer = await compute(expression)

    expect(answer.length).toBeGreaterThan(0)
  })

  test('agrees with JavaScript on sums and products of whole numbers', async () => {
    const operand = fc.integer({ min: -999, max: 999 }).map((number) => (number < 0 ? `(${number})` : `${number}`))
    const step = fc.tuple(fc.constantFrom('+', '-', '*'), operand).map(([sign, number]) => ` ${sign} ${number}`)

    await fc.assert(
      fc.asyncProperty(operand, fc.array(step, { maxLength: 4 }), async (first, steps) => {
        const expression = first + steps.join('')

        const answer = await compute(expression)

        // biome-ignore lint/security/noGlobalEval: the expressions are made above, of digits and three signs
        expect(answer).toBe(String(eval(expression) + 0))
      }),
    )
  })

  test('answers any text at all', async () => {
    const alphabet = fc.constantFrom(...'0123456789.+-*/%^(),e pi sqrt max'.split(''))

    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ unit: alphabet, maxLength: 200 }),
          fc.uint16Array({ maxLength: 200 }).map((codes) => String.fromCharCode(...codes)),
        ),
        async (expression) => {
          const answer = await compute(expression)

          expect(answer).toMatch(/^(-?\d+(\.\d+)?(e[+-]\d+)?|Not computed: [\s\S]+\.)$/)
        },
      ),
    )
  })
})
