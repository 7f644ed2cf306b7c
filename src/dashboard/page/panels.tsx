import type { ComponentChildren } from 'preact'
import type { Figures } from './api'
import { most } from './api'
import { Chart } from './chart'
import { Models, Routes, Users } from './tables'
import { compact, cost, count, percent, plural, time } from './words'

export function Panels({ figures: { summary, daily, routes, models, users, me } }: { figures: Figures }) {
  if (summary.total_requests === 0 && summary.total_tokens === 0)
    return (
      <section class="card empty">
        <h2>Nothing happened in these days</h2>
        <p>Choose other days, or send the first request: every call of the API shows up here within a second or two.</p>
      </section>
    )
  const days = daily.map(({ date }) => date)
  const of = (key: Exclude<keyof (typeof daily)[number], 'date'>) => daily.map((day) => day[key])
  return (
    <>
      <Tiles summary={summary} />
      <Panel title="Requests per day">
        <Chart
          name="Requests"
          kind="bars"
          days={days}
          series={[
            { name: 'Requests', tone: 'blue', values: of('total_requests'), all: summary.total_requests },
            { name: 'Errors', tone: 'red', values: of('error_count'), all: summary.error_count },
          ]}
          say={count}
          sayShort={compact}
        />
      </Panel>
      <Panel title="Response times per day" note="logarithmic">
        <Chart
          name="Response times"
          kind="times"
          days={days}
          series={[
            { name: 'p50', tone: 'teal', values: of('p50_ms'), all: summary.p50_ms },
            { name: 'p95', tone: 'amber', values: of('p95_ms'), all: summary.p95_ms },
            { name: 'p99', tone: 'purple', values: of('p99_ms'), all: summary.p99_ms },
          ]}
          isThere={(at) => daily[at]?.total_requests !== 0}
          say={time}
          sayShort={time}
        />
      </Panel>
      <Panel title="Tokens per day">
        <Chart
          name="Tokens"
          kind="bars"
          days={days}
          series={[
            { name: 'Total', tone: 'purple', values: of('total_tokens'), all: summary.total_tokens },
            { name: 'Of them prompt', tone: 'teal', values: of('prompt_tokens'), all: summary.prompt_tokens },
          ]}
          say={count}
          sayShort={compact}
        />
      </Panel>
      <Panel title="Tokens by model">
        <Models rows={models} />
      </Panel>
      <Panel
        title="Top routes"
        note={routes.length > most ? `${most} of ${plural(routes.length, 'route')}` : undefined}
      >
        <Routes rows={routes.slice(0, most)} />
      </Panel>
      <Panel
        title="Top users"
        note={users && users.total > most ? `${most} of ${plural(users.total, 'user')}` : undefined}
      >
        {users ? (
          <Users rows={users.top} />
        ) : (
          <p class="hint">The role {me.role} may not see who used what; admins may.</p>
        )}
      </Panel>
    </>
  )
}

function Panel({ title, note, children }: { title: string; note?: string | undefined; children: ComponentChildren }) {
  const id = title.toLowerCase().replaceAll(' ', '-')
  return (
    <section class="card panel" aria-labelledby={id}>
      <div class="title">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span class="hint">{note}</span>}
      </div>
      {children}
    </section>
  )
}

function Tiles({ summary }: { summary: Figures['summary'] }) {
  const tiles = [
    ['Requests', count(summary.total_requests), `by ${plural(summary.unique_users, 'user')}`],
    ['Errors', count(summary.error_count), `${percent(summary.error_rate)} of requests`],
    ['Response time, p50', time(summary.p50_ms), `p95 ${time(summary.p95_ms)} · p99 ${time(summary.p99_ms)}`],
    [
      'Tokens',
      count(summary.total_tokens),
      `${count(summary.prompt_tokens)} in · ${count(summary.completion_tokens)} out`,
    ],
    ['Messages', count(summary.total_messages), 'of users and models'],
    ...(summary.cost_micros === undefined ? [] : [['Cost', cost(summary.cost_micros), 'by the prices of the tenant']]),
  ]
  return (
    <dl class="card tiles">
      {tiles.map(([name, value, more]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <span class="value">{value}</span> <span class="hint">{more}</span>
          </dd>
        </div>
      ))}
    </dl>
  )
}
