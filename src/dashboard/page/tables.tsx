import { type ComponentChildren, Fragment } from 'preact'
import type { ModelSummary, RouteSummary, UserSummary } from '../../analytics/schema'
import { cost, count, percent, time } from './words'

type Column<Row> = { name: string; isNumber?: boolean; of: (row: Row) => ComponentChildren }
type Props<Row> = {
  caption: string
  rows: readonly Row[]
  columns: readonly Column<Row>[]
  keyOf: (row: Row) => string
  nothing: string
}

/** The first column names the row. */
export function Table<Row>({ caption, rows, columns, keyOf, nothing }: Props<Row>) {
  if (rows.length === 0) return <p class="hint">{nothing}</p>
  return (
    // Can be scrolled sideways on a narrow screen, by keyboard too.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable
    <section class="scroll" tabIndex={0} aria-label={caption}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, isNumber }) => (
              <th key={name} scope="col" class={isNumber ? 'number' : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ name, isNumber, of }, at) =>
                at === 0 ? (
                  <th key={name} scope="row">
                    {of(row)}
                  </th>
                ) : (
                  <td key={name} class={isNumber ? 'number' : undefined}>
                    {of(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** How much of the greatest it is, for the eye; the number stands beside it. */
const Share = ({ of, most }: { of: number; most: number }) => (
  <span class="share" aria-hidden="true">
    <span style={{ width: `${most === 0 ? 0 : (100 * of) / most}%` }} />
  </span>
)

const greatest = (numbers: number[]) => Math.max(0, ...numbers)

export function Models({ rows }: { rows: ModelSummary[] }) {
  const most = greatest(rows.map(({ total_tokens }) => total_tokens))
  const isPriced = rows.some(({ cost_micros }) => cost_micros !== undefined)
  return (
    <Table
      caption="Tokens by model"
      rows={rows}
      keyOf={({ model }) => model}
      nothing="No model was asked in these days."
      columns={[
        {
          name: 'Model',
          of: ({ model, total_tokens }) => (
            <>
              <span class="name">{model}</span>
              <Share of={total_tokens} most={most} />
            </>
          ),
        },
        { name: 'Replies', isNumber: true, of: ({ total_replies }) => count(total_replies) },
        { name: 'Prompt', isNumber: true, of: ({ prompt_tokens }) => count(prompt_tokens) },
        { name: 'Completion', isNumber: true, of: ({ completion_tokens }) => count(completion_tokens) },
        { name: 'Total', isNumber: true, of: ({ total_tokens }) => count(total_tokens) },
        {
          name: 'Estimated',
          isNumber: true,
          of: ({ estimated_tokens, total_tokens }) =>
            estimated_tokens === 0 ? '–' : percent(estimated_tokens / total_tokens),
        },
        ...(isPriced
          ? [
              {
                name: 'Cost',
                isNumber: true,
                of: ({ cost_micros }: ModelSummary) => (cost_micros === undefined ? '–' : cost(cost_micros)),
              },
            ]
          : []),
      ]}
    />
  )
}

export function Routes({ rows }: { rows: RouteSummary[] }) {
  const most = greatest(rows.map(({ total_requests }) => total_requests))
  return (
    <Table
      caption="Top routes"
      rows={rows}
      keyOf={({ method, route }) => `${method} ${route}`}
      nothing="No route was called in these days."
      columns={[
        {
          name: 'Route',
          of: ({ method, route, total_requests }) => (
            <>
              <span class="name code">
                <span class="method">{method}</span> <Path of={route} />
              </span>
              <Share of={total_requests} most={most} />
            </>
          ),
        },
        { name: 'Requests', isNumber: true, of: ({ total_requests }) => count(total_requests) },
        { name: 'Errors', isNumber: true, of: (row) => <Errors {...row} /> },
        { name: 'p50', isNumber: true, of: ({ p50_ms }) => time(p50_ms) },
        { name: 'p95', isNumber: true, of: ({ p95_ms }) => time(p95_ms) },
        { name: 'p99', isNumber: true, of: ({ p99_ms }) => time(p99_ms) },
      ]}
    />
  )
}

export function Users({ rows }: { rows: UserSummary[] }) {
  const most = greatest(rows.map(({ total_requests }) => total_requests))
  return (
    <Table
      caption="Top users"
      rows={rows}
      keyOf={({ user_id }) => user_id}
      nothing="Nobody asked for anything in these days."
      columns={[
        {
          name: 'User',
          of: ({ display_name, external_id, email, total_requests }) => (
            <>
              <span class="name">{display_name ?? external_id}</span> <span class="hint">{email}</span>
              <Share of={total_requests} most={most} />
            </>
          ),
        },
        { name: 'Requests', isNumber: true, of: ({ total_requests }) => count(total_requests) },
        { name: 'Errors', isNumber: true, of: (row) => <Errors {...row} /> },
        { name: 'Replies', isNumber: true, of: ({ total_replies }) => count(total_replies) },
        { name: 'Tokens', isNumber: true, of: ({ total_tokens }) => count(total_tokens) },
      ]}
    />
  )
}

const Errors = ({ error_count, error_rate }: { error_count: number; error_rate: number }) =>
  error_count === 0 ? (
    <>0</>
  ) : (
    <span class="errors">
      {count(error_count)} <span class="rate">({percent(error_rate)})</span>
    </span>
  )

/** May be broken before a slash, and is one text all the same. */
const Path = ({ of }: { of: string }) =>
  of.split(/(?=\/)/).map((part, at) => (
    <Fragment key={at}>
      <wbr />
      {part}
    </Fragment>
  ))
