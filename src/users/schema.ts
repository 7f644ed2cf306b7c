import { type Static, Type } from '@sinclair/typebox'
import { Id, nullable, oneOf, Page, shape, Timestamp } from '../schema'

const Role = oneOf('viewer', 'operator', 'admin')
const DisplayName = Type.String({ minLength: 1, maxLength: 200 })
/** Something before an @ and something after it; whether it arrives, only a mail can tell. */
const Email = Type.String({
  pattern: '^[^@\\s\\u0000-\\u001f]{1,64}@[^@\\s\\u0000-\\u001f]{1,190}$',
  error: 'must be an e-mail address',
})

export const NewUser = shape({
  email: Email,
  display_name: Type.Optional(nullable(DisplayName)),
  external_id: Type.String({ minLength: 1, maxLength: 255, description: "What the user's tokens say as `sub`" }),
  role: Role,
})
export type NewUser = Static<typeof NewUser>

export const UserChange = shape({
  role: Type.Optional(Role),
  display_name: Type.Optional(nullable(DisplayName)),
  is_active: Type.Optional(Type.Boolean()),
})
export type UserChange = Static<typeof UserChange>

export const User = shape({
  id: Id,
  tenant_id: Id,
  external_id: Type.String(),
  email: Type.String(),
  display_name: nullable(Type.String()),
  role: Role,
  is_active: Type.Boolean(),
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type User = Static<typeof User>

export const UserQuery = shape(Page)
export type UserQuery = Static<typeof UserQuery>

export const Me = shape({
  user: User,
  tenant: shape({ id: Id, slug: Type.String(), name: Type.String() }),
  role: Role,
  permissions: Type.Array(Type.String()),
})
export type Me = Static<typeof Me>
