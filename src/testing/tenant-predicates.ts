import { isQuery, isSign, isWord, splitAt, type Token, tokensOf } from './sql-tokens'

/** Tables with this column hold rows of many tenants. Names in lower case. */
export type TenantTables = { column: string; tables: ReadonlySet<string> }

/**
 * The tenant tables that a statement reads or writes without saying whose rows: nothing of theirs is compared with a
 * value (a parameter, a literal, a setting), directly or through what they are joined to, in a way that every row has
 * to satisfy. Reads SQL only as far as that takes; what it cannot follow, it names too.
 */
export function unboundTables(sql: string, tenant: TenantTables): string[] {
  const reader = new Reader(tenant)
  return [...new Set(splitAt(tokensOf(sql), (token) => isSign(token, ';')).flatMap((one) => reader.statement(one)))]
}

/** What one query reads from: a table, or a query with a name (`inner`). */
type Source = {
  alias: string
  table: string | undefined
  inner: Query | undefined
  /** The query itself, where it stands here and not in WITH. */
  derived: readonly Token[] | undefined
  /** Only rows of this source have to satisfy these: the condition of its outer join. */
  outerOn?: Facts
}

/** FROM, read: what it names, and the conditions of its joins (`on`), of which `whole` have to hold for every row. */
type From = { sources: Source[]; whole: Token[][]; on: Token[][] }

/** Columns that a condition compares with a value, and pairs of columns that it makes equal. */
type Facts = { bound: Set<string>; pairs: [string, string][] }

/** A query inside another: its own tenant tables that are not bound, and whether what it gives is bound. */
type Query = { unbound: string[]; isOneUnbound: boolean; isBound: boolean }

type Around = { isBound(column: string): boolean; named: ReadonlyMap<string, Query> }

const nowhere: Around = { isBound: () => false, named: new Map() }
const clauses = [
  'from',
  'where',
  'group',
  'having',
  'order',
  'limit',
  'offset',
  'returning',
  'window',
  'fetch',
  'for',
  'set',
  'using',
  'values',
  'on',
]
/** Clauses that name tables. */
const lists = ['update', 'delete', 'from', 'using']
const joins = ['join', 'inner', 'left', 'right', 'full', 'cross', 'natural']
const constants = new Set([
  'true',
  'false',
  'null',
  'current_user',
  'session_user',
  'current_date',
  'current_timestamp',
])

class Reader {
  constructor(private readonly tenant: TenantTables) {}

  statement(tokens: readonly Token[]): string[] {
    if (isWord(tokens[0], 'truncate')) {
      return tokens.flatMap((token) =>
        token.type === 'name' && this.tenant.tables.has(token.text) ? [token.text] : [],
      )
    }
    if (!isWord(tokens[0], 'select', 'insert', 'replace', 'update', 'delete', 'with') && tokens[0]?.type !== 'group')
      return []
    return this.query(tokens, nowhere).unbound
  }

  /** `with ... select ... union select ...`, or a write. */
  private query(tokens: readonly Token[], around: Around): Query {
    const [only] = tokens
    if (tokens.length === 1 && only?.type === 'group') return this.query(only.items, around)
    const named = new Map(around.named)
    const tables: Query[] = []
    let rest = tokens
    if (isWord(tokens[0], 'with')) {
      let at = isWord(tokens[1], 'recursive') ? 2 : 1
      for (;;) {
        const name = tokens[at]
        const body = tokens.findIndex(
          (token, index) => index > at && token.type === 'group' && !isColumnList(token.items),
        )
        const group = tokens[body]
        if (name?.type !== 'name' || group?.type !== 'group') break
        // A recursive query names itself: its own name stands for rows that its first part gave.
        if (isWord(tokens[1], 'recursive')) named.set(name.text, { unbound: [], isOneUnbound: false, isBound: true })
        const query = this.query(group.items, { ...around, named })
        named.set(name.text, { ...query, unbound: [] })
        tables.push(query)
        at = body + 2
        if (!isSign(tokens[body + 1], ',')) {
          rest = tokens.slice(body + 1)
          break
        }
      }
    }
    const parts = splitAt(rest, (token) => isWord(token, 'union', 'except', 'intersect'))
      .map((part) => (isWord(part[0], 'all', 'distinct') ? part.slice(1) : part))
      .map((part) => this.block(part, { ...around, named }))
    const unbound = [...tables, ...parts].flatMap((query) => query.unbound)
    return {
      unbound,
      isOneUnbound: parts.length > 0 && parts.every((part) => part.unbound.length === 0 || part.isOneUnbound),
      isBound: parts.length > 0 && parts.every((part) => part.isBound),
    }
  }

  private block(tokens: readonly Token[], around: Around): Query {
    const [only] = tokens
    if (tokens.length === 1 && only?.type === 'group') return this.query(only.items, around)
    if (isWord(tokens[0], 'insert', 'replace')) return this.insert(tokens, around)
    const sections = sectionsOf(tokens)
    const from: From = { sources: [], whole: [], on: [] }
    for (const { clause, items } of sections) if (lists.includes(clause)) this.from(items, from, around)
    const { sources } = from
    const facts: Facts = { bound: new Set(), pairs: [] }
    const where = sections.filter(({ clause }) => clause === 'where' || clause === 'having').map(({ items }) => items)
    for (const condition of [...from.whole, ...where]) this.add(facts, this.facts(condition, sources, around))
    const whole = this.close(facts, sources)
    const inside: Around = {
      named: around.named,
      isBound: (column) =>
        sources.some(({ alias }) => column.startsWith(`${alias}.`)) ? whole(column) : around.isBound(column),
    }
    const unbound = sources.filter((source) => this.isTenants(source) && !whole(this.key(source)))
    const elsewhere = sections.filter(({ clause }) => !lists.includes(clause)).map(({ items }) => items)
    const nested = [
      ...this.queriesIn([...elsewhere, ...from.on], inside),
      ...sources.flatMap((source) => this.unboundInside(source, inside, whole)),
    ]
    const tenants = sources.filter((source) => this.isTenants(source) || source.inner?.isBound)
    return {
      unbound: [...unbound.flatMap(({ table }) => table ?? []), ...nested],
      isOneUnbound: nested.length === 0 && unbound.length === 1,
      isBound: tenants.length > 0 && unbound.length === 0 && nested.length === 0,
    }
  }

  private insert(tokens: readonly Token[], around: Around): Query {
    const into = tokens.findIndex((token) => isWord(token, 'into'))
    const { table, next } = tableAt(tokens, into + 1)
    const columns = tokens[next]
    const conflict = tokens.findIndex((token, index) => isWord(token, 'on') && isWord(tokens[index + 1], 'conflict'))
    const source = tokens.slice(next, conflict === -1 ? undefined : conflict)
    const from = source.findIndex(
      (token) => isWord(token, 'select', 'with') || (token.type === 'group' && isQuery(token.items)),
    )
    const read = from === -1 ? undefined : this.query(source.slice(from), around)
    const unbound = [...(read?.unbound ?? [])]
    if (table !== undefined && this.tenant.tables.has(table)) {
      const named = columns?.type === 'group' && !isQuery(columns.items) ? columns.items : undefined
      const isListed =
        named === undefined || named.some((token) => token.type === 'name' && token.text === this.tenant.column)
      const isDefault = source.some((token) => isWord(token, 'default'))
      if (!isListed || (isDefault && named === undefined)) unbound.push(table)
      else if (conflict !== -1 && !this.isOwnConflict(tokens.slice(conflict + 2))) unbound.push(table)
    }
    return { unbound, isOneUnbound: false, isBound: unbound.length === 0 }
  }

  /** An upsert may meet another tenant's row, unless what they clash in has the tenant in it. */
  private isOwnConflict(tokens: readonly Token[]): boolean {
    const update = tokens.findIndex((token) => isWord(token, 'update'))
    const [target] = tokens
    if (update === -1 || isWord(target, 'on')) return true
    const mentions = (items: readonly Token[]): boolean =>
      items.some((token) =>
        token.type === 'group' ? mentions(token.items) : token.type === 'name' && token.text === this.tenant.column,
      )
    const where = tokens.findIndex((token, index) => index > update && isWord(token, 'where'))
    return mentions(tokens.slice(0, update)) || (where !== -1 && mentions(tokens.slice(where)))
  }

  /** Reads `a, b join c on ...`. */
  private from(items: readonly Token[], from: From, around: Around): void {
    let kind: string[] = []
    for (let at = 0; at < items.length; ) {
      const token = items[at]
      if (isSign(token, ',')) {
        kind = []
        at++
      } else if (isWord(token, ...joins, 'outer', 'lateral', 'only')) {
        if (token?.type === 'name') kind.push(token.text)
        at++
      } else if (isWord(token, 'on')) {
        const end = items.findIndex((each, index) => index > at && (isSign(each, ',') || isJoin(items, index)))
        at = end === -1 ? items.length : end
        const condition = items.slice(items.indexOf(token as Token) + 1, at)
        this.on(condition, kind, from, around)
        kind = []
      } else if (isWord(token, 'using')) {
        this.using(items[at + 1], from)
        kind = []
        at += 2
      } else if (token?.type === 'group' && !isQuery(token.items)) {
        this.from(token.items, from, around)
        at++
      } else {
        at = this.source(items, at, from.sources, around)
      }
    }
  }

  private on(condition: Token[], kind: readonly string[], { sources, whole, on }: From, around: Around): void {
    on.push(condition)
    const source = sources.at(-1)
    if (!kind.some((word) => ['left', 'right', 'full'].includes(word))) whole.push(condition)
    // The other outer joins keep rows of the joined table whatever the condition says.
    else if (source && kind.includes('left')) {
      const { bound, pairs } = this.facts(condition, sources, around)
      const own = (column: string) => column.startsWith(`${source.alias}.`)
      source.outerOn = {
        bound: new Set([...bound].filter(own)),
        pairs: pairs.filter(([one, other]) => own(one) || own(other)),
      }
    }
  }

  private using(columns: Token | undefined, { sources }: From): void {
    const [before, source] = sources.slice(-2)
    if (!before || !source || columns?.type !== 'group') return
    const names = columns.items.flatMap((token) => (token.type === 'name' ? [token.text] : []))
    source.outerOn = {
      bound: new Set(),
      pairs: names.map((name) => [`${before.alias}.${name}`, `${source.alias}.${name}`]),
    }
  }

  private source(items: readonly Token[], at: number, sources: Source[], around: Around): number {
    const token = items[at]
    const isDerived = token?.type === 'group'
    const { table, next } = isDerived ? { table: undefined, next: at + 1 } : tableAt(items, at)
    const name = isWord(items[next], 'as') ? next + 1 : next
    const word = items[name]
    const isAlias = word?.type === 'name' && !isWord(word, 'on', 'using', 'set', ...joins)
    const inner = isDerived
      ? this.query(token.items, around)
      : table === undefined
        ? undefined
        : around.named.get(table)
    sources.push({
      alias: isAlias ? word.text : (table ?? ''),
      table: inner ? undefined : table,
      inner,
      derived: isDerived ? token.items : undefined,
    })
    let after = isAlias ? name + 1 : next
    while (items[after]?.type === 'group') after++
    return Math.max(after, at + 1)
  }

  /** What queries in conditions, columns and lists leave unbound. */
  private queriesIn(parts: readonly (readonly Token[])[], inside: Around): string[] {
    return parts.flat().flatMap((token) => {
      if (token.type !== 'group') return []
      return isQuery(token.items) ? this.query(token.items, inside).unbound : this.queriesIn([token.items], inside)
    })
  }

  /** A query in FROM, read again: now it is known what a lateral one sees, and whether its rows are chosen by tenant outside it. */
  private unboundInside(source: Source, inside: Around, isBound: (column: string) => boolean): string[] {
    if (!source.derived) return []
    const { unbound, isOneUnbound } = this.query(source.derived, inside)
    return isOneUnbound && isBound(this.key(source)) ? [] : unbound
  }

  private isTenants({ table }: Source): boolean {
    return table !== undefined && this.tenant.tables.has(table)
  }

  private key({ alias }: Source): string {
    return `${alias}.${this.tenant.column}`
  }

  private add(to: Facts, { bound, pairs }: Facts): void {
    for (const column of bound) to.bound.add(column)
    to.pairs.push(...pairs)
  }

  /** Which columns are equal to a value in every row, following equalities from column to column. */
  private close({ bound, pairs }: Facts, sources: readonly Source[]): (column: string) => boolean {
    const known = new Set(bound)
    for (const source of sources) if (source.inner?.isBound) known.add(this.key(source))
    const spread = (through: readonly [string, string][]) => {
      for (let before = -1; before !== known.size; ) {
        before = known.size
        for (const [one, other] of through) {
          if (known.has(one)) known.add(other)
          if (known.has(other)) known.add(one)
        }
      }
    }
    const outer = sources.flatMap(({ outerOn }) => outerOn?.pairs ?? [])
    spread([...pairs, ...outer])
    // What an outer join says binds the joined table only, so it comes last and never goes back.
    for (const { alias, outerOn } of sources) {
      const own = (column: string) => column.startsWith(`${alias}.`)
      for (const column of outerOn?.bound ?? []) known.add(column)
      for (const [one, other] of outerOn?.pairs ?? []) {
        if (own(one) && known.has(other)) known.add(one)
        if (own(other) && known.has(one)) known.add(other)
      }
    }
    return (column) => known.has(column)
  }

  /** What a condition says of every row. Of alternatives only what all of them say counts. */
  private facts(tokens: readonly Token[], sources: readonly Source[], around: Around): Facts {
    const alternatives = splitLogic(tokens, 'or')
    if (alternatives.length > 1) {
      const [first, ...others] = alternatives.map((each) => this.facts(each, sources, around))
      if (!first) return { bound: new Set(), pairs: [] }
      return {
        bound: new Set([...first.bound].filter((column) => others.every(({ bound }) => bound.has(column)))),
        pairs: first.pairs.filter(([a, b]) => others.every(({ pairs }) => pairs.some(([c, d]) => a === c && b === d))),
      }
    }
    const all: Facts = { bound: new Set(), pairs: [] }
    for (const one of splitLogic(tokens, 'and')) {
      const [only] = one
      if (one.length === 1 && only?.type === 'group' && !isQuery(only.items)) {
        this.add(all, this.facts(only.items, sources, around))
      } else this.add(all, this.comparison(one, sources, around))
    }
    return all
  }

  private comparison(tokens: readonly Token[], sources: readonly Source[], around: Around): Facts {
    const facts: Facts = { bound: new Set(), pairs: [] }
    const at = tokens.findIndex(
      (token, index) => isSign(token, '=', '==') || (isWord(token, 'in') && !isWord(tokens[index - 1], 'not')),
    )
    if (at < 1 || isWord(tokens[0], 'not')) return facts
    const [left, right] = [tokens.slice(0, at), tokens.slice(at + 1)]
    const [leftRow, rightRow] = [rowOf(left), rowOf(right)]
    const sides: [readonly Token[], readonly Token[]][] =
      leftRow && rightRow && isSign(tokens[at], '=', '==')
        ? leftRow.map((column, index) => [column, rightRow[index] ?? []])
        : leftRow
          ? leftRow.map((column) => [column, right])
          : [[left, right]]
    for (const [one, other] of sides) {
      const [a, b] = [this.column(one, sources), this.column(other, sources)]
      const isKnown = (column: string | undefined, side: readonly Token[]) =>
        column === undefined
          ? isValue(side)
          : !sources.some(({ alias }) => column.startsWith(`${alias}.`)) && around.isBound(column)
      if (a !== undefined && isKnown(b, other)) facts.bound.add(a)
      else if (b !== undefined && isKnown(a, one)) facts.bound.add(b)
      else if (a !== undefined && b !== undefined && a !== b) facts.pairs.push([a, b])
    }
    return facts
  }

  /** `alias.column`, where these tokens are a column and nothing else. */
  private column(tokens: readonly Token[], sources: readonly Source[]): string | undefined {
    const cast = tokens.findIndex((token) => isSign(token, '::'))
    const bare = cast === -1 ? tokens : tokens.slice(0, cast)
    const [only] = bare
    if (bare.length === 1 && only?.type === 'group')
      return isQuery(only.items) ? undefined : this.column(only.items, sources)
    const names = bare.flatMap((token) => (token.type === 'name' ? [token] : []))
    const last = names.at(-1)
    if (!last || bare.some((token, index) => (index % 2 === 0 ? token.type !== 'name' : !isSign(token, '.'))))
      return undefined
    const qualifier = names.at(-2)
    if (qualifier) return `${qualifier.text}.${last.text}`
    if (!last.quoted && constants.has(last.text)) return undefined
    const owner = last.text === this.tenant.column ? sources.find((source) => this.isTenants(source)) : undefined
    return `${(owner ?? sources[0])?.alias ?? ''}.${last.text}`
  }
}

/** A list of nothing but names, as in `with t (a, b) as (...)`. */
const isColumnList = (items: readonly Token[]) =>
  items.every((token) => token.type === 'name' || isSign(token, ',')) && !isQuery(items)

const isJoin = (tokens: readonly Token[], at: number) =>
  (isWord(tokens[at], ...joins) && tokens[at + 1]?.type !== 'group') || // left(...) is a function
  (isWord(tokens[at], 'join') && tokens[at + 1]?.type === 'group')

function tableAt(tokens: readonly Token[], at: number): { table: string | undefined; next: number } {
  let next = at
  while (isSign(tokens[next + 1], '.')) next += 2
  const token = tokens[next]
  return { table: token?.type === 'name' ? token.text : undefined, next: next + 1 }
}

/** The clauses of one query, in order: `select`, `from`, `where`, ... */
function sectionsOf(tokens: readonly Token[]): { clause: string; items: Token[] }[] {
  const sections: { clause: string; items: Token[] }[] = []
  for (const [index, token] of tokens.entries()) {
    const inFrom = ['from', 'using'].includes(sections.at(-1)?.clause ?? '')
    const isClause =
      (index === 0 && token.type === 'name') ||
      (isWord(token, ...clauses) &&
        !(inFrom && isWord(token, 'on', 'using')) &&
        !isWord(tokens[index - 1], 'distinct', 'delete') &&
        !isSign(tokens[index - 1], '.'))
    if (isClause && token.type === 'name') sections.push({ clause: token.text, items: [] })
    else if (isWord(token, 'from'))
      continue // delete from
    else sections.at(-1)?.items.push(token)
  }
  return sections
}

/** Splits at `and` or `or`, but not inside CASE and not at the AND of a BETWEEN. */
function splitLogic(tokens: readonly Token[], word: 'and' | 'or'): Token[][] {
  let cases = 0
  let between = false
  return splitAt(tokens, (token) => {
    if (isWord(token, 'case')) cases++
    if (isWord(token, 'end')) cases--
    if (isWord(token, 'between')) between = true
    if (between && isWord(token, 'and')) {
      between = false
      return false
    }
    return cases === 0 && isWord(token, word)
  })
}

/** `(a, b)` as its parts; undefined for anything else. */
function rowOf(tokens: readonly Token[]): Token[][] | undefined {
  const [only] = tokens
  if (tokens.length !== 1 || only?.type !== 'group' || isQuery(only.items)) return undefined
  const parts = splitAt(only.items, (token) => isSign(token, ','))
  return parts.length > 1 ? parts : undefined
}

/** Nothing in it depends on a row: parameters, literals, functions of such, and queries (which are looked at on their own). */
function isValue(tokens: readonly Token[]): boolean {
  return (
    tokens.length > 0 &&
    tokens.every((token, index) => {
      if (token.type === 'group') return isQuery(token.items) || token.items.length === 0 || isValue(token.items)
      if (token.type !== 'name') return true
      const isFunction = tokens[index + 1]?.type === 'group'
      const isType = isSign(tokens[index - 1], '::') || isWord(tokens[index - 1], 'as') || isWord(token, 'as')
      return !token.quoted && (isFunction || isType || constants.has(token.text))
    })
  )
}
