import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access, Deps } from '../deps'
import { answerPage } from '../page'
import { AuditEntry, AuditQuery } from './schema'
import { auditStore } from './store'

export const auditRoutes = (deps: Deps, access: Access) =>
  new Elysia({ prefix: '/api/v1/admin/audit', tags: ['Audit'] })
    .use(access)
    .get(
      '',
      async ({ principal, query, request, set }) =>
        answerPage(await auditStore(deps, principal).list(query), query, { request, set }),
      {
        permission: 'audit:read',
        query: AuditQuery,
        response: { 200: Type.Array(AuditEntry) },
        detail: { summary: 'List who changed what, newest first' },
      },
    )
