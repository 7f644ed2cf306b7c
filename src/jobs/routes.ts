import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access, Deps } from '../deps'
import { answerPage } from '../page'
import { IdPath } from '../schema'
import { Job, JobQuery } from './schema'
import { jobStore } from './store'

export const jobRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/admin/jobs', tags: ['Jobs'] })
    .use(access)
    .get(
      '',
      async ({ principal, query, request, set }) =>
        answerPage(await jobStore(deps, principal).list(query), query, { request, set }),
      {
        permission: 'job:manage',
        query: JobQuery,
        response: { 200: Type.Array(Job) },
        detail: { summary: 'List jobs, newest first' },
      },
    )
    .post('/:id/retry', ({ principal, params }) => jobStore(deps, principal).retry(params.id), {
      permission: 'job:manage',
      params: IdPath,
      response: { 200: Job },
      detail: { summary: 'Begin a dead job anew' },
    })
