import { type Static, Type } from '@sinclair/typebox'
import { Id, Page, shape, Timestamp } from '../schema'

export const AuditEntry = shape({
  id: Id,
  user_id: Id,
  action: Type.String({ description: 'What was done, for example plugin.enabled' }),
  subject: Type.String({ description: 'To what: the name of a plugin, the id of a user or job' }),
  detail: Type.Record(Type.String(), Type.Unknown(), { description: 'Names of fields, never their values' }),
  created_at: Timestamp,
})
export type AuditEntry = Static<typeof AuditEntry>

export const AuditQuery = shape(Page)
export type AuditQuery = Static<typeof AuditQuery>
