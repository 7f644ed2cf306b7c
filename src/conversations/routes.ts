import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access, Deps } from '../deps'
import { answerPage } from '../page'
import { IdPath } from '../schema'
import { Conversation, ConversationChange, ConversationQuery, Message, MessageQuery, NewConversation } from './schema'
import { conversationStore } from './store'

export const conversationRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/conversations', tags: ['Conversations'] })
    .use(access)
    .post(
      '',
      async ({ principal, body, status }) => status(201, await conversationStore(deps, principal).create(body)),
      {
        permission: 'conversation:write',
        body: NewConversation,
        response: { 201: Conversation },
        detail: { summary: 'Create a conversation' },
      },
    )
    .get(
      '',
      async ({ principal, query, request, set }) =>
        answerPage(await conversationStore(deps, principal).list(query), query, { request, set }),
      {
        permission: 'conversation:read',
        query: ConversationQuery,
        response: { 200: Type.Array(Conversation) },
        detail: { summary: 'List conversations, newest first' },
      },
    )
    .get('/:id', ({ principal, params }) => conversationStore(deps, principal).get(params.id), {
      permission: 'conversation:read',
      params: IdPath,
      response: { 200: Conversation },
      detail: { summary: 'Get a conversation' },
    })
    .patch('/:id', ({ principal, params, body }) => conversationStore(deps, principal).update(params.id, body), {
      permission: 'conversation:write',
      params: IdPath,
      body: ConversationChange,
      response: { 200: Conversation },
      detail: { summary: 'Change a conversation' },
    })
    .delete(
      '/:id',
      async ({ principal, params, set }) => {
        await conversationStore(deps, principal).remove(params.id)
        set.status = 204
      },
      {
        permission: 'conversation:delete',
        params: IdPath,
        response: { 204: Type.Void() },
        detail: { summary: 'Delete a conversation and its messages' },
      },
    )
    .get(
      '/:id/messages',
      async ({ principal, params, query, request, set }) =>
        answerPage(await conversationStore(deps, principal).messages(params.id, query), query, { request, set }),
      {
        permission: 'conversation:read',
        params: IdPath,
        query: MessageQuery,
        response: { 200: Type.Array(Message) },
        detail: { summary: 'List messages, oldest first' },
      },
    )
