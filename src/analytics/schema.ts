import { type Static, Type } from '@sinclair/typebox'
import { Day, Id, nullable, oneOf, Page, shape } from '../schema'

const Count = Type.Integer({ minimum: 0 })
const Milliseconds = Type.Number({ minimum: 0, description: 'In ms; 0 where there were no requests' })

const requests = {
  total_requests: Count,
  error_count: Type.Integer({ minimum: 0, description: 'Answers with a status of 400 and above' }),
  error_rate: Type.Number({ minimum: 0, maximum: 1 }),
}
const tokens = { total_tokens: Count, prompt_tokens: Count, completion_tokens: Count }
const messages = {
  total_messages: Type.Integer({ minimum: 0, description: 'Stored ones, of users and models' }),
  unique_users: Type.Integer({ minimum: 0, description: 'Who made a request' }),
}
const times = {
  avg_response_time_ms: Milliseconds,
  p50_ms: Type.Number({ minimum: 0, description: 'At most 2 percent off, as are the other quantiles' }),
  p95_ms: Milliseconds,
  p99_ms: Milliseconds,
}
const replies = {
  total_replies: Count,
  ...tokens,
  estimated_tokens: Type.Integer({ minimum: 0, description: 'Of all tokens, those that the provider did not report' }),
}
const cost = {
  cost_micros: Type.Optional(
    Type.Integer({ minimum: 0, description: 'In millionths of a currency unit; there where the tenant has prices' }),
  ),
}

export const Summary = shape({
  start_date: Day,
  end_date: Day,
  ...requests,
  ...tokens,
  ...messages,
  ...times,
  ...cost,
})
export type Summary = Static<typeof Summary>

export const DaySummary = shape({ date: Day, ...requests, ...tokens, ...messages, ...times })
export type DaySummary = Static<typeof DaySummary>

export const RouteSummary = shape({ method: Type.String(), route: Type.String(), ...requests, ...times })
export type RouteSummary = Static<typeof RouteSummary>

export const ModelSummary = shape({ model: Type.String(), ...replies, unique_users: Count, ...cost })
export type ModelSummary = Static<typeof ModelSummary>

export const UserSummary = shape({
  user_id: Id,
  external_id: Type.String(),
  email: Type.String(),
  display_name: nullable(Type.String()),
  ...requests,
  avg_response_time_ms: Milliseconds,
  ...replies,
  ...cost,
})
export type UserSummary = Static<typeof UserSummary>

const range = { start_date: Type.Optional(Day), end_date: Type.Optional(Day) }

export const RangeQuery = shape(range)
export type RangeQuery = Static<typeof RangeQuery>

export const UserSummaryQuery = shape({ ...range, limit: Page.limit, offset: Page.offset })
export type UserSummaryQuery = Static<typeof UserSummaryQuery>

export const ExportQuery = shape({
  ...range,
  format: Type.Optional(oneOf('csv', 'json')),
  rows: Type.Optional(oneOf('days', 'routes', 'requests')),
})
export type ExportQuery = Static<typeof ExportQuery>
