import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access, Deps } from '../deps'
import { answerPage } from '../page'
import { IdPath } from '../schema'
import { Me, NewUser, User, UserChange, UserQuery } from './schema'
import { userStore } from './store'

export const meRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/me', tags: ['Users'] })
    .use(access)
    .get('', ({ principal }) => userStore(deps, principal).me(), {
      permission: 'self:read',
      response: { 200: Me },
      detail: { summary: 'Who the caller is and what it may do' },
    })

export const userRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/admin/users', tags: ['Users'] })
    .use(access)
    .post('', async ({ principal, body, status }) => status(201, await userStore(deps, principal).create(body)), {
      permission: 'user:manage',
      body: NewUser,
      response: { 201: User },
      detail: { summary: 'Create a user' },
    })
    .get(
      '',
      async ({ principal, query, request, set }) =>
        answerPage(await userStore(deps, principal).list(query), query, { request, set }),
      {
        permission: 'user:manage',
        query: UserQuery,
        response: { 200: Type.Array(User) },
        detail: { summary: 'List users, newest first' },
      },
    )
    .get('/:id', ({ principal, params }) => userStore(deps, principal).get(params.id), {
      permission: 'user:manage',
      params: IdPath,
      response: { 200: User },
      detail: { summary: 'Get a user' },
    })
    .patch('/:id', ({ principal, params, body }) => userStore(deps, principal).change(params.id, body), {
      permission: 'user:manage',
      params: IdPath,
      body: UserChange,
      response: { 200: User },
      detail: { summary: 'Change a user' },
    })
    .delete(
      '/:id',
      async ({ principal, params, set }) => {
        await userStore(deps, principal).deactivate(params.id)
        set.status = 204
      },
      {
        permission: 'user:manage',
        params: IdPath,
        response: { 204: Type.Void() },
        detail: { summary: 'Deactivate a user', description: 'It can do nothing more, and what it did stays.' },
      },
    )
