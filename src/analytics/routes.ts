import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { about } from '../about'
import type { Access, Deps } from '../deps'
import { answerPage } from '../page'
import { Download } from '../schema'
import { exportOf } from './export'
import {
  DaySummary,
  ExportQuery,
  ModelSummary,
  RangeQuery,
  RouteSummary,
  Summary,
  UserSummary,
  UserSummaryQuery,
} from './schema'
import { analyticsStore } from './store'

const description = 'UTC days, both inclusive, at most 366; the last thirty unless said otherwise.'

export const analyticsRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/analytics', tags: ['Analytics'] })
    .use(access)
    .get('/summary', ({ principal, query }) => analyticsStore(deps, principal).summary(query), {
      permission: 'analytics:read',
      query: RangeQuery,
      response: { 200: Summary },
      detail: { summary: 'What the tenant used in a range of days', description },
    })
    .get('/daily', ({ principal, query }) => analyticsStore(deps, principal).daily(query), {
      permission: 'analytics:read',
      query: RangeQuery,
      response: { 200: Type.Array(DaySummary) },
      detail: { summary: 'The same day by day, days without use included', description },
    })
    .get('/routes', ({ principal, query }) => analyticsStore(deps, principal).routes(query), {
      permission: 'analytics:read',
      query: RangeQuery,
      response: { 200: Type.Array(RouteSummary) },
      detail: { summary: 'Requests by route, the most used first', description },
    })
    .get('/models', ({ principal, query }) => analyticsStore(deps, principal).models(query), {
      permission: 'analytics:read',
      query: RangeQuery,
      response: { 200: Type.Array(ModelSummary) },
      detail: { summary: 'Tokens and cost by model, the most used first', description },
    })
    .get(
      '/users',
      async ({ principal, query, request, set }) =>
        answerPage(await analyticsStore(deps, principal).users(query), { offset: 0, ...query }, { request, set }),
      {
        permission: 'analytics:users',
        query: UserSummaryQuery,
        response: { 200: Type.Array(UserSummary) },
        detail: { summary: 'Requests, tokens and cost by user, the most active first', description },
      },
    )
    .get(
      '/export',
      ({ principal, query, request }) => {
        const { response, finished } = exportOf(deps, principal, query)
        about(request).lasts = finished
        return response
      },
      {
        permission: 'analytics:export',
        query: ExportQuery,
        response: { 200: Download },
        detail: {
          summary: 'The same as a file: days, days by route, or the request records',
          description: `${description} As CSV unless \`format=json\`; \`rows\` is \`days\` unless it is \`routes\` or \`requests\`.`,
        },
      },
    )
