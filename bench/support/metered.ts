import { type RequestRecord, storeRecords } from '../../src/analytics/rollup'
import { insertAll } from '../../src/database/bulk'
import { connect, type Database } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { migrate } from '../../src/database/migrate'
import { usage_records } from '../../src/database/tables'
import { dayMs } from '../../src/day'
import { newId, systemClock } from '../../src/ids'
import { createUser } from '../../src/users/store'
import { addCaller, type Caller } from './database'

const days = 30
const usersEach = 20
const routes = [
  '/api/v1/conversations',
  '/api/v1/conversations/:id',
  '/api/v1/conversations/:id/messages',
  '/api/v1/chat',
  '/api/v1/me',
]

/** A database in which tenants made this many requests in all, and a reply for every tenth, over the last thirty days. */
export async function fillRequests(url: string, tenants: number, requests: number): Promise<Caller[]> {
  await using connection = connect(url)
  await migrate(connection.root)
  const { database, root } = connection
  const callers: Caller[] = []
  for (let n = 0; n < tenants; n++) {
    const caller = await addCaller(database, `tenant-${n}`, 1)
    callers.push(caller)
    const people = await addPeople(database, caller)
    for (let day = 0; day < days; day++)
      await fillDay(database, caller, people, day, Math.ceil(requests / tenants / days))
  }
  if (dialect === 'postgres') await root.run({ text: 'vacuum analyze', params: [], shape: 'arrays' })
  return callers
}

async function addPeople(database: Database, { tenant_id, user_id }: Caller): Promise<string[]> {
  const people = [user_id]
  for (let n = 1; n < usersEach; n++) {
    const user = { external_id: `user-${n}`, email: `user-${n}@example.com`, role: 'operator' } as const
    people.push((await createUser({ database, clock: systemClock }, tenant_id, user)).id)
  }
  return people
}

async function fillDay(
  database: Database,
  { tenant_id, user_id }: Caller,
  people: readonly string[],
  day: number,
  requests: number,
): Promise<void> {
  const begin = Math.floor(Date.now() / dayMs) * dayMs - day * dayMs
  const records = Array.from({ length: requests }, (_, n): RequestRecord => {
    const created_at = new Date(begin + Math.floor((n * (dayMs - 1)) / requests))
    return {
      tenant_id,
      user_id: people[n % usersEach] ?? '',
      id: newId({ now: () => created_at }),
      method: 'GET',
      route: routes[n % routes.length] ?? '',
      status: n % 50 === 0 ? 404 : 200,
      duration_us: Math.round(400 * Math.exp((((n * 7919) % 1000) / 1000) * 6)),
      created_at,
    }
  })
  for (let at = 0; at < records.length; at += 5000)
    await storeRecords(database, tenant_id, records.slice(at, at + 5000))
  const usage = records
    .filter((_, n) => n % 10 === 0)
    .map(({ created_at, id }, n) => ({
      tenant_id,
      user_id,
      id,
      conversation_id: id,
      message_id: id,
      model: n % 3 === 0 ? 'large' : 'small',
      prompt_tokens: 100,
      completion_tokens: 50,
      is_estimated: false,
      created_at,
    }))
  await database.transaction(() => insertAll(usage_records, usage))
}
