import { onceForEach } from './by-text'

/** What may stand before a parenthesis in a query that changes nothing: words of SQL, and functions that are known. */
const harmless = new Set(
  [
    'all and any array as between by case distinct else except exists filter from group having in intersect is join lateral',
    'like limit not offset on or order over select some then union using values when where within',
    'abs array_agg avg bool_and bool_or cast ceil coalesce concat count current_setting date_trunc extract floor greatest',
    'json_agg json_build_object jsonb_agg jsonb_build_object least length lower max min now nullif rank round row_number',
    'string_agg substring sum to_char trim upper',
  ].flatMap((words) => words.split(' ')),
)

/** True for a query on Postgres that leaves nothing behind: no locks, and no function that might write, as any may that is not known. */
export const onlyReads = onceForEach((text) => {
  const calls = [...text.matchAll(/("(?:[^"]|"")*"|[\p{L}\p{N}_.$]+)\s*\(/gu)].map(([, name = '']) =>
    name.toLowerCase(),
  )
  return (
    /^\s*select\b/i.test(text) &&
    !/;|--|\/\*|\binto\b|\bfor\s+(no\s+key\s+)?(update|share|key)\b/i.test(text) &&
    calls.every((name) => harmless.has(name))
  )
})
