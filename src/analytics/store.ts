import { type AnyColumn, and, asc, count, countDistinct, eq, exists, gte, lte, sql } from 'drizzle-orm'
import type { Principal } from '../auth/principal'
import { sumOf } from '../database/aggregates'
import { type Database, oncePerDatabase } from '../database/database'
import {
  message_days,
  route_days,
  tenant_days,
  tenant_settings,
  usage_days,
  user_days,
  users,
} from '../database/tables'
import { daysOf, type Range, rangeOf } from '../day'
import type { Clock } from '../ids'
import { defaultLimit, type Page, paged } from '../page'
import { costOf, costOfAll } from './cost'
import type { Counters } from './rollup'
import type {
  DaySummary,
  ModelSummary,
  RangeQuery,
  RouteSummary,
  Summary,
  UserSummary,
  UserSummaryQuery,
} from './schema'
import { merge, quantiles, type Sketch } from './sketch'

const given = sql.placeholder

/** Of one tenant, from one day to another. */
const within = ({ tenant_id, day }: { tenant_id: AnyColumn; day: AnyColumn }) =>
  and(eq(tenant_id, given('tenant_id')), gte(day, given('start_date')), lte(day, given('end_date')))

const tokens = {
  total_replies: sumOf(usage_days.reply_count),
  prompt_tokens: sumOf(usage_days.prompt_tokens),
  completion_tokens: sumOf(usage_days.completion_tokens),
  estimated_tokens: sumOf(usage_days.estimated_tokens),
}

const queries = oncePerDatabase((database) => ({
  prices: database
    .select({ prices: tenant_settings.prices })
    .from(tenant_settings)
    .where(eq(tenant_settings.tenant_id, given('tenant_id')))
    .prepare('analytics_prices'),
  days: database.select().from(tenant_days).where(within(tenant_days)).prepare('analytics_days'),
  routes: database
    .select()
    .from(route_days)
    .where(within(route_days))
    .orderBy(asc(route_days.day), asc(route_days.method), asc(route_days.route))
    .prepare('analytics_routes'),
  // One look for each user, however many days there are.
  uniqueUsers: database
    .select({ unique_users: count() })
    .from(users)
    .where(
      and(
        eq(users.tenant_id, given('tenant_id')),
        exists(
          database
            .select({ day: user_days.day })
            .from(user_days)
            .where(and(eq(user_days.user_id, users.id), within(user_days))),
        ),
      ),
    )
    .prepare('analytics_unique_users'),
  usersByDay: database
    .select({ day: user_days.day, unique_users: count() })
    .from(user_days)
    .where(within(user_days))
    .groupBy(user_days.day)
    .prepare('analytics_users_by_day'),
  usageByModel: database
    .select({ model: usage_days.model, ...tokens, unique_users: countDistinct(usage_days.user_id) })
    .from(usage_days)
    .where(within(usage_days))
    .groupBy(usage_days.model)
    .prepare('analytics_usage_by_model'),
  usageByDay: database
    .select({ day: usage_days.day, ...tokens })
    .from(usage_days)
    .where(within(usage_days))
    .groupBy(usage_days.day)
    .prepare('analytics_usage_by_day'),
  usageByUser: database
    .select({ user_id: usage_days.user_id, model: usage_days.model, ...tokens })
    .from(usage_days)
    .where(within(usage_days))
    .groupBy(usage_days.user_id, usage_days.model)
    .prepare('analytics_usage_by_user'),
  requestsByUser: database
    .select({
      user_id: user_days.user_id,
      request_count: sumOf(user_days.request_count),
      error_count: sumOf(user_days.error_count),
      duration_us: sumOf(user_days.duration_us),
    })
    .from(user_days)
    .where(within(user_days))
    .groupBy(user_days.user_id)
    .prepare('analytics_requests_by_user'),
  people: database
    .select({ id: users.id, external_id: users.external_id, email: users.email, display_name: users.display_name })
    .from(users)
    .where(eq(users.tenant_id, given('tenant_id')))
    .prepare('analytics_people'),
  messages: database
    .select({ total_messages: sumOf(message_days.message_count) })
    .from(message_days)
    .where(within(message_days))
    .prepare('analytics_messages'),
  messagesByDay: database
    .select({ day: message_days.day, total_messages: sumOf(message_days.message_count) })
    .from(message_days)
    .where(within(message_days))
    .groupBy(message_days.day)
    .prepare('analytics_messages_by_day'),
}))

/** What the principal's tenant used. Only rollups are read, so that it costs by the number of days and not of requests. */
export function analyticsStore(
  { database, clock }: { database: Database; clock: Clock },
  { tenant_id }: Pick<Principal, 'tenant_id'>,
) {
  const prepared = queries(database)
  const pricesOfTenant = async () => (await prepared.prices.execute({ tenant_id }))[0]?.prices ?? {}
  const priced = (cost_micros: number | undefined) => (cost_micros === undefined ? {} : { cost_micros })

  return {
    async summary(query: RangeQuery): Promise<Summary> {
      const range = rangeOf(query, clock)
      const of = { tenant_id, ...range }
      const [days, [people], models, [messages], prices] = await Promise.all([
        prepared.days.execute(of),
        prepared.uniqueUsers.execute(of),
        prepared.usageByModel.execute(of),
        prepared.messages.execute(of),
        pricesOfTenant(),
      ])
      const all = days.reduce(addUp, nothing())
      return {
        ...range,
        ...requestsOf(all),
        ...tokensOf(models.reduce(addTokens, noTokens)),
        total_messages: messages?.total_messages ?? 0,
        unique_users: people?.unique_users ?? 0,
        ...timesOf(all),
        ...priced(costOfAll(prices, models)),
      }
    },

    /** Days without any use are there, too. */
    async daily(query: RangeQuery): Promise<DaySummary[]> {
      const range = rangeOf(query, clock)
      const of = { tenant_id, ...range }
      const [days, people, usage, messages] = await Promise.all([
        prepared.days.execute(of),
        prepared.usersByDay.execute(of),
        prepared.usageByDay.execute(of),
        prepared.messagesByDay.execute(of),
      ])
      const [dayOn, peopleOn, usageOn, messagesOn] = [byDay(days), byDay(people), byDay(usage), byDay(messages)]
      return daysOf(range).map((date) => {
        const day = dayOn.get(date)
        const all = day ? addUp(nothing(), day) : nothing()
        return {
          date,
          ...requestsOf(all),
          ...tokensOf(usageOn.get(date) ?? noTokens),
          total_messages: messagesOn.get(date)?.total_messages ?? 0,
          unique_users: peopleOn.get(date)?.unique_users ?? 0,
          ...timesOf(all),
        }
      })
    },

    /** The most used first. */
    async routes(query: RangeQuery): Promise<RouteSummary[]> {
      const rows = await prepared.routes.execute({ tenant_id, ...rangeOf(query, clock) })
      const routes = new Map<string, { method: string; route: string; all: Sum }>()
      for (const row of rows) {
        const { method, route } = row
        const known = routes.get(`${method} ${route}`) ?? { method, route, all: nothing() }
        addUp(known.all, row)
        routes.set(`${method} ${route}`, known)
      }
      return [...routes.values()]
        .map(({ method, route, all }) => ({ method, route, ...requestsOf(all), ...timesOf(all) }))
        .sort(
          most(
            ({ total_requests }) => total_requests,
            ({ method, route }) => `${route} ${method}`,
          ),
        )
    },

    /** The same for each day by itself, the first day first; days without use are not there. */
    async routesByDay(range: Range): Promise<({ date: string } & RouteSummary)[]> {
      const rows = await prepared.routes.execute({ tenant_id, ...range })
      return rows.map(({ day: date, method, route, ...row }) => {
        const all = addUp(nothing(), row)
        return { date, method, route, ...requestsOf(all), ...timesOf(all) }
      })
    },

    /** The most tokens first. */
    async models(query: RangeQuery): Promise<ModelSummary[]> {
      const of = { tenant_id, ...rangeOf(query, clock) }
      const [rows, prices] = await Promise.all([prepared.usageByModel.execute(of), pricesOfTenant()])
      return rows
        .map(({ model, total_replies, estimated_tokens, unique_users, ...used }) => ({
          model,
          total_replies,
          ...tokensOf(used),
          estimated_tokens,
          unique_users,
          ...priced(costOf(prices, { model, ...used })),
        }))
        .sort(
          most(
            ({ total_tokens }) => total_tokens,
            ({ model }) => model,
          ),
        )
    },

    /** Who made the most requests first. That order has no cursor: a page begins at its offset. */
    async users({ limit = defaultLimit, offset = 0, ...query }: UserSummaryQuery): Promise<Page<UserSummary>> {
      const of = { tenant_id, ...rangeOf(query, clock) }
      const [requests, usage, people, prices] = await Promise.all([
        prepared.requestsByUser.execute(of),
        prepared.usageByUser.execute(of),
        prepared.people.execute({ tenant_id }),
        pricesOfTenant(),
      ])
      const requestsBy = new Map(requests.map((row) => [row.user_id, row]))
      const usageBy = Map.groupBy(usage, ({ user_id }) => user_id)
      const all = people
        .filter(({ id }) => requestsBy.has(id) || usageBy.has(id))
        .map(({ id: user_id, ...person }) => {
          const counted = requestsBy.get(user_id) ?? nothing()
          const models = usageBy.get(user_id) ?? []
          const { total_replies, estimated_tokens, ...used } = models.reduce(addTokens, noTokens)
          return {
            user_id,
            ...person,
            ...requestsOf(counted),
            avg_response_time_ms: averageOf(counted),
            total_replies,
            ...tokensOf(used),
            estimated_tokens,
            ...priced(costOfAll(prices, models)),
          }
        })
        .sort(
          most(
            ({ total_requests }) => total_requests,
            ({ user_id }) => user_id,
          ),
        )
      return paged(all.slice(offset, offset + limit + 1), { limit }, all.length, ({ user_id }) => user_id)
    },

    range: (query: RangeQuery): Range => rangeOf(query, clock),
  }
}

type Sum = Counters & { latency: Sketch }
const nothing = (): Sum => ({ request_count: 0, error_count: 0, duration_us: 0, latency: [] })

function addUp(all: Sum, { latency, ...row }: Counters & { latency: string }): Sum {
  all.request_count += row.request_count
  all.error_count += row.error_count
  all.duration_us += row.duration_us
  merge(all.latency, latency)
  return all
}

type Used = { prompt_tokens: number; completion_tokens: number }
type Replies = Used & { total_replies: number; estimated_tokens: number }
const noTokens: Replies = { total_replies: 0, prompt_tokens: 0, completion_tokens: 0, estimated_tokens: 0 }

const addTokens = (all: Replies, row: Replies): Replies => ({
  total_replies: all.total_replies + row.total_replies,
  prompt_tokens: all.prompt_tokens + row.prompt_tokens,
  completion_tokens: all.completion_tokens + row.completion_tokens,
  estimated_tokens: all.estimated_tokens + row.estimated_tokens,
})

const tokensOf = ({ prompt_tokens, completion_tokens }: Used) => ({
  total_tokens: prompt_tokens + completion_tokens,
  prompt_tokens,
  completion_tokens,
})

const requestsOf = ({ request_count, error_count }: Counters) => ({
  total_requests: request_count,
  error_count,
  error_rate: request_count === 0 ? 0 : error_count / request_count,
})

const averageOf = ({ request_count, duration_us }: Counters): number =>
  request_count === 0 ? 0 : inMs(duration_us / request_count)

const timesOf = (all: Sum) => {
  const [p50_ms = 0, p95_ms = 0, p99_ms = 0] = quantiles(all.latency, [0.5, 0.95, 0.99]).map(inMs)
  return { avg_response_time_ms: averageOf(all), p50_ms, p95_ms, p99_ms }
}

/** To the microsecond, as durations are measured. */
const inMs = (us: number): number => Math.round(us) / 1000

const byDay = <Row extends { day: string }>(rows: readonly Row[]) => new Map(rows.map((row) => [row.day, row]))

/** Descending by a number; what is equal, by its name, so that the order is always the same. */
const most =
  <Row>(numberOf: (row: Row) => number, nameOf: (row: Row) => string) =>
  (one: Row, other: Row): number =>
    numberOf(other) - numberOf(one) || (nameOf(one) < nameOf(other) ? -1 : 1)
