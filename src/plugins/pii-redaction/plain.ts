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
  let written = ''
  const starts: number[] = []
  const ends: number[] = []
  let index = 0
  for (const char of text) {
    const folded = fold(char)
    for (let unit = 0; unit < folded.length; unit++) {
      starts.push(index + (folded.length > 1 ? unit : 0))
      ends.push(index + (folded.length > 1 ? unit + 1 : char.length))
    }
    written += folded
    index += char.length
  }
  return { text: written, original: (start, end) => [starts[start] ?? 0, ends[end - 1] ?? 0] }
}

const foreign = /(?![\0-\x7f])[\p{Nd}\p{Zs}\p{Pd}\p{Cf}\uff01-\uff5e]/u

function fold(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (code < 0x80 || !foreign.test(char)) return char
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
