/** A piece of SQL: a word or quoted name, a literal or parameter, a sign, or what stands in parentheses. */
export type Token =
  | { type: 'name'; text: string; quoted: boolean }
  | { type: 'value'; text: string }
  | { type: 'sign'; text: string }
  | { type: 'group'; items: Token[] }

const pattern =
  /(?<skip>\s+|--[^\n]*|\/\*[\s\S]*?\*\/)|(?<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)|(?<value>[exb]?'(?:[^']|'')*'|\$(?<tag>\w*)\$[\s\S]*?\$\k<tag>\$|\$\d+|\?\d*|(?<!:)[:@][a-z_]\w*|\d[\w.]*)|(?<name>[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(?<sign>::|<>|!=|<=|>=|==|\|\||->>|->|@@|[\s\S])/giy

/** Names are lower case, as the databases compare them; a quoted name is never a keyword. */
export function tokensOf(sql: string): Token[] {
  const open: Token[][] = [[]]
  for (const { groups = {} } of sql.matchAll(pattern)) {
    const here = open.at(-1) ?? []
    const { quoted, value, name, sign } = groups
    if (quoted !== undefined) here.push({ type: 'name', text: unquoted(quoted), quoted: true })
    else if (value !== undefined) here.push({ type: 'value', text: value })
    else if (name !== undefined) here.push({ type: 'name', text: name.toLowerCase(), quoted: false })
    else if (sign === '(') {
      const items: Token[] = []
      here.push({ type: 'group', items })
      open.push(items)
    } else if (sign === ')') {
      if (open.length > 1) open.pop()
    } else if (sign !== undefined) here.push({ type: 'sign', text: sign })
  }
  return open[0] ?? []
}

const unquoted = (text: string) => text.slice(1, -1).replaceAll('""', '"').replaceAll('``', '`').toLowerCase()

export const isWord = (token: Token | undefined, ...words: string[]): boolean =>
  token?.type === 'name' && !token.quoted && words.includes(token.text)

export const isSign = (token: Token | undefined, ...signs: string[]): boolean =>
  token?.type === 'sign' && signs.includes(token.text)

/** The pieces between the tokens that `at` accepts. */
export function splitAt(tokens: readonly Token[], at: (token: Token, index: number) => boolean): Token[][] {
  const parts: Token[][] = [[]]
  for (const [index, token] of tokens.entries()) {
    if (at(token, index)) parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts
}

/** What stands in these parentheses is a query. */
export const isQuery = (items: readonly Token[]): boolean =>
  isWord(items[0], 'select', 'with', 'values', 'insert', 'update', 'delete') ||
  (items[0]?.type === 'group' &&
    isQuery(items[0].items) &&
    (items.length === 1 || isWord(items[1], 'union', 'except', 'intersect')))
