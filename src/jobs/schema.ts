import { type Static, Type } from '@sinclair/typebox'
import { Id, nullable, oneOf, Page, shape, Timestamp } from '../schema'

const State = oneOf('queued', 'running', 'done', 'dead')

/** A job as those who manage the tenant see it; what it is about stays with it. */
export const Job = shape({
  id: Id,
  kind: Type.String(),
  state: State,
  attempts: Type.Integer({ minimum: 0, description: 'How often it was begun' }),
  last_error: nullable(Type.String()),
  due_at: nullable(Timestamp),
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type Job = Static<typeof Job>

export const JobQuery = shape({
  ...Page,
  state: Type.Optional(State),
  kind: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
})
export type JobQuery = Static<typeof JobQuery>
