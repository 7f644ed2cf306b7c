/** A text as it reads in ASCII where it can, and where each part of that stands in the text itself. */
export type Plain = {
  readonly text: string
  /** From places in `text`, as [start, end), to places in the original. */
  original(start: number, end: number): readonly [number, number]
}

/**
 * Digits of every script become ASCII digits, spaces and hyphens of every kind plain ones, full-width signs their
 * narrow forms; what is not seen (a zero-width space, a soft hyphen) is left out.
 */
export function plain(text: string): Plain {
  if (!foreign.test(text)) return { text, original: (start, end) => [start, end] }
  const shifts: Shift[] = []
  let by = 0
  const written = text.replace(everyForeign, (char, index: number) => {
    const folded = fold(char)
    if (folded.length < char.length) {
      by += char.length - folded.length
      shifts.push({ from: index + char.length - by, by })
    }
    return folded
  })
  return {
    text: written,
    original(start, end) {
      const last = end - 1 + shiftAt(shifts, end - 1)
      return [start + shiftAt(shifts, start), last + ((text.codePointAt(last) ?? 0) > 0xffff ? 2 : 1)]
    },
  }
}

/** What stands at `from` and later stood so much further behind. */
type Shift = { from: number; by: number }

function shiftAt(shifts: readonly Shift[], place: number): number {
  let low = 0
  let high = shifts.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((shifts[middle]?.from ?? 0) <= place) low = middle + 1
    else high = middle
  }
  return shifts[low - 1]?.by ?? 0
}

const foreign = /(?![\0-\x7f])[\p{Nd}\p{Zs}\p{Pd}\p{Cf}\uff01-\uff5e]/u
const everyForeign = new RegExp(foreign, 'gu')

/** What is folded stays known: there are no more than some thousand such characters. */
const folds = new Map<string, string>()

function fold(char: string): string {
  const known = folds.get(char)
  if (known !== undefined) return known
  const folded = folding(char)
  folds.set(char, folded)
  return folded
}

function folding(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (digit.test(char)) return String(digitValue(code))
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0)
  if (/\p{Zs}/u.test(char)) return ' '
  return /\p{Pd}/u.test(char) ? '-' : ''
}

const digit = /\p{Nd}/u

/** Unicode keeps the ten digits of a script together and in order, and each row of tens begins with a zero. */
function digitValue(code: number): number {
  let zero = code
  while (digit.test(String.fromCodePoint(zero - 1))) zero--
  return (code - zero) % 10
}
