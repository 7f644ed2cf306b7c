/** Says what cannot be computed, in words for whoever wrote the expression. */
export class ArithmeticMistake extends Error {
  override readonly name = 'ArithmeticMistake'
}

/** Characters. */
export const longestExpression = 200

/**
 * The value of `1 + 2 * (3 - sqrt(4)) ^ 2`. Its time is proportional to its length: powers are of doubles, so none is
 * ever large; its depth is bounded by its length. Throws ArithmeticMistake.
 *
 * Ours, because the libraries do more than is safe here: expr-eval has had code execution (CVE-2025-12735), mathjs is
 * megabytes, jsep and fparser read members, strings and assignments that would have to be refused one by one.
 */
export function evaluate(expression: string): number {
  if (expression.length > longestExpression) throw new ArithmeticMistake('the expression is too long')
  const tokens = tokenize(expression)
  let position = 0
  const take = (...wanted: string[]) => {
    const token = tokens[position]
    if (token === undefined || !wanted.includes(token)) return undefined
    position++
    return token
  }
  const expect = (wanted: string) => {
    if (!take(wanted)) throw new ArithmeticMistake(`expected "${wanted}" ${before(tokens[position])}`)
  }

  function sum(): number {
    let value = product()
    for (;;) {
      if (take('+')) value = add(value, product())
      else if (take('-')) value = add(value, -product())
      else return value
    }
  }

  function product(): number {
    let value = signed()
    for (;;) {
      const operator = take('*', '/', '%')
      if (!operator) return value
      const right = signed()
      if (operator !== '*' && right === 0) throw new ArithmeticMistake('division by zero')
      value = operator === '*' ? value * right : operator === '/' ? value / right : value % right
    }
  }

  /** Binds less than a power, so that -2^2 is -4, and also stands to the right of one: 2^-1. */
  function signed(): number {
    if (take('-')) return -signed()
    if (take('+')) return signed()
    const base = operand()
    return take('^') ? base ** signed() : base
  }

  function operand(): number {
    const token = tokens[position++]
    if (token === undefined) throw new ArithmeticMistake('the expression ends too early')
    if (token === '(') {
      const value = sum()
      expect(')')
      return value
    }
    const constant = constants.get(token)
    if (constant !== undefined) return constant
    if (functions.has(token)) return call(token)
    if (/^\.?\d/.test(token)) return Number(token)
    if (/^[a-z]/.test(token)) throw new ArithmeticMistake(`"${token}" is not known here`)
    throw new ArithmeticMistake(`"${token}" stands where a number is expected`)
  }

  function call(name: string): number {
    const { run, arity } = functions.get(name) ?? { run: () => Number.NaN, arity: [0, 0] }
    expect('(')
    const given = [sum()]
    while (take(',')) given.push(sum())
    expect(')')
    if (given.length < arity[0] || given.length > arity[1])
      throw new ArithmeticMistake(`${name} does not take ${given.length} numbers`)
    return run(...given)
  }

  const value = sum()
  if (position < tokens.length) throw new ArithmeticMistake(`"${tokens[position]}" stands where the end is expected`)
  if (Number.isNaN(value)) throw new ArithmeticMistake('the result is not a real number')
  if (!Number.isFinite(value)) throw new ArithmeticMistake('the result is too large')
  return value
}

type Known = { run: (...numbers: number[]) => number; arity: readonly [number, number] }
const one = (run: (number: number) => number): Known => ({ run: (number = Number.NaN) => run(number), arity: [1, 1] })
const many = (run: (...numbers: number[]) => number): Known => ({ run, arity: [1, 200] })

const functions = new Map<string, Known>([
  ...(['sqrt', 'abs', 'floor', 'ceil', 'round', 'exp', 'log10', 'log2', 'sin', 'cos', 'tan'] as const).map(
    (name) => [name, one(Math[name])] as const,
  ),
  ['ln', one(Math.log)],
  ['min', many(Math.min)],
  ['max', many(Math.max)],
])

const constants = new Map([
  ['pi', Math.PI],
  ['e', Math.E],
])

/** The words that an expression may use, for those who have to say so. */
export const words = [...functions.keys(), ...constants.keys()]

/** Of decimals that cancel out, doubles leave a rest of the last bit, as in 0.1 + 0.2 - 0.3: that rest is nothing. */
function add(left: number, right: number): number {
  const value = left + right
  const exact = Number.isInteger(left) && Number.isInteger(right)
  return !exact && Math.abs(value) < Math.max(Math.abs(left), Math.abs(right)) * 2 ** -50 ? 0 : value
}

/** Numbers, words and signs. */
function tokenize(expression: string): string[] {
  const text = expression
    .toLowerCase()
    .replace(/[×÷−]/g, (sign) => ({ '×': '*', '÷': '/' })[sign] ?? '-')
    .replaceAll('**', '^')
  const tokens = text.match(/(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[a-z][a-z0-9]*|\S/gu) ?? []
  const unknown = tokens.find((token) => !/^[a-z\d.+*/%^(),-]/.test(token))
  if (unknown !== undefined) throw new ArithmeticMistake(`"${unknown}" is not known here`)
  return tokens
}

const before = (token: string | undefined) => (token === undefined ? 'at the end' : `before "${token}"`)
