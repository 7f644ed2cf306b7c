/** Where something stands in a text: [start, end). */
export type Place = readonly [start: number, end: number]

export const kinds = ['email', 'phone', 'card', 'iban'] as const
export type Kind = (typeof kinds)[number]

/** Each is given plain text (see plain.ts), and takes time in proportion to it. */
export const findKind: Record<Kind, (text: string) => Iterable<Place>> = { email, phone, card, iban }

/**
 * What stands around an @ that has a name before it and a domain with a dot after it. Letters are those of alphabets
 * that set words apart: Chinese or Thai around an address is no part of it. In a URL the @ may be written %40.
 */
function* email(text: string): Iterable<Place> {
  if (!text.includes('@') && !text.includes('%40')) return
  for (const match of text.matchAll(address))
    yield [match.index - (match[1] ?? '').length, match.index + match[0].length]
}

const address =
  /(?:@|%40)(?<=([\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\d_][\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{M}\d._%+'-]{0,63})(?:@|%40))(?:[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{M}\d-]{1,63}\.)+(?:xn--[a-z\d-]{1,59}|[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{M}]{2,63})/gu

/**
 * In this order: international, 8 to 15 digits after + or 00; North American, 3-3-4 with something between the three;
 * national with a leading 0, 9 to 12 digits. Between two digits may stand a space, . / - and parentheses. A number that
 * says in no way that one may call it (ten bare digits) is left, as are dates, decimal fractions and ids.
 */
function* phone(text: string): Iterable<Place> {
  for (const match of text.matchAll(callable)) yield [match.index, match.index + match[0].length]
}

const between = String.raw`\)?(?: [/-] |[ ./-])?\(?`
const callable = new RegExp(
  String.raw`(?<![\w+])(?<!\d[-.,:/])(?:` +
    [
      String.raw`(?:\+|00)[1-9](?:${between}\d){7,15}(?!\d)`,
      String.raw`(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}(?!-?\d)`,
      String.raw`(?!\d\d([-./ ])\d\d\1\d{4}(?!\d))\(?0[1-9](?:${between}\d){7,10}(?!-?\d|[A-Za-z])`,
    ].join('|') +
    ')',
  'g',
)

/** 13 to 19 digits, alone or in groups with a space or hyphen between them, that pass Luhn's check (ISO/IEC 7812-1). */
function* card(text: string): Iterable<Place> {
  for (const { 0: run, index } of text.matchAll(/\d(?:[ -]?\d){12,}/g)) {
    const partOfWord = /[\d.,][.,]$|[A-Za-z]$/.test(text.slice(Math.max(0, index - 2), index))
    let start = partOfWord ? nextGroup(run, 0) : 0
    while (start < run.length) {
      const end = cardEnd(run, start)
      if (end) yield [index + start, index + end]
      start = end ? end + 1 : nextGroup(run, start)
    }
  }
}

function nextGroup(run: string, start: number): number {
  let next = start
  while (isDigit(run, next)) next++
  return next + 1
}

/** Where the most groups end that are a card number together, beginning with the one at `start`; 0 if none are. */
function cardEnd(run: string, start: number): number {
  if (run[start] === '0') return 0
  const sums: [number, number] = [0, 0] // with the odd places doubled, and with the even ones
  let end = 0
  let count = 0
  for (let place = start; place < run.length && count < 19; place++) {
    if (!isDigit(run, place)) continue
    const digit = run.charCodeAt(place) - 48
    const doubled = digit > 4 ? digit * 2 - 9 : digit * 2
    sums[0] += count % 2 ? doubled : digit
    sums[1] += count % 2 ? digit : doubled
    count++
    const last = (count - 1) % 2 ? sums[1] : sums[0] // in which the last digit is not doubled
    if (count >= 13 && last % 10 === 0 && !isDigit(run, place + 1)) end = place + 1
  }
  return end
}

function isDigit(text: string, place: number): boolean {
  const code = text.charCodeAt(place)
  return code >= 48 && code <= 57
}

/** As many letters and digits as the country writes, with at most a space or hyphen between two, and the right check digits. */
function* iban(text: string): Iterable<Place> {
  for (const { 0: head, index } of text.matchAll(/(?<![a-z\d])[a-z]{2}\d{2}/gi)) {
    const length = ibanLengths.get(head.slice(0, 2).toUpperCase())
    if (length === undefined) continue
    let end = index
    let written = ''
    while (written.length < length) {
      if (/[ -]/.test(text[end] ?? '') && written) end++
      const char = text[end] ?? ''
      if (!/[a-z\d]/i.test(char)) break
      written += char
      end++
    }
    if (written.length === length && !/[a-z\d]/i.test(text[end] ?? '') && mod97(written) === 1) yield [index, end]
  }
}

/** ISO 7064, MOD 97-10: the first four to the end, letters as 10 to 35. */
function mod97(written: string): number {
  let rest = 0
  for (const char of written.slice(4) + written.slice(0, 4)) {
    const value = Number.parseInt(char, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest
}

/** The SWIFT IBAN registry (ISO 13616), and countries that write such numbers without being in it. */
const ibanLengths = new Map(
  (
    'AD24 AE23 AL28 AO25 AT20 AX18 AZ28 BA20 BE16 BF28 BG22 BH22 BI27 BJ28 BL27 BR29 BY28 CF27 CG27 CH21 CI28 CM27 ' +
    'CR22 CV25 CY28 CZ24 DE22 DJ27 DK18 DO28 DZ26 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GA27 GB22 GE22 GF27 GI23 GL18 ' +
    'GP27 GQ27 GR27 GT28 GW25 HN28 HR21 HU28 IE22 IL23 IQ23 IR26 IS26 IT27 JO30 KM27 KW30 KZ20 LB28 LC32 LI21 LT20 ' +
    'LU20 LV21 LY25 MA28 MC27 MD24 ME22 MF27 MG27 MK19 ML28 MN20 MQ27 MR27 MT31 MU30 MZ25 NC27 NE28 NI28 NL18 NO15 ' +
    'OM23 PF27 PK24 PL28 PM27 PS29 PT25 QA29 RE27 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SN28 SO23 ST25 ' +
    'SV28 TD27 TF27 TG28 TL23 TN24 TR26 UA29 VA22 VG24 WF27 XK20 YE30 YT27'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
)
