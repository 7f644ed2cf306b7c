import { jobs } from '../../src/database/tables'
import { newId } from '../../src/ids'
import { database, deps } from '../kit'

type Row = typeof jobs.$inferInsert

/** A job of a tenant that has been given up, of a kind that nobody works on; returns its id. */
export async function plantDeadJob(tenant_id: string, given: Partial<Row> = {}): Promise<string> {
  const id = newId(deps.clock)
  const now = deps.clock.now()
  await database.insert(jobs).values({
    tenant_id,
    id,
    kind: 'a kind of no worker',
    payload: { words: 'of the tenant' },
    state: 'dead',
    attempts: 3,
    due_at: given.state === 'queued' || given.state === 'running' ? now : null,
    last_error: 'It was no use.',
    created_at: now,
    updated_at: now,
    ...given,
  })
  return id
}
