import { createKit, drizzlePostgres, drizzleSqlite, outside } from 'tenantry/testing'
import { buildApp, hashOf } from '../src/app'
import { dataOf } from '../src/data'
import { openPostgres } from '../src/postgres'
import { openSqlite } from '../src/sqlite'
import { run } from './setup'

const { door, database } = run.dialect === 'postgres' ? drizzlePostgres(openPostgres) : drizzleSqlite(openSqlite)
export const data = dataOf(database)
export const hook = 'https://hooks.example/notes'
export const app = buildApp({ data, now: outside.clock.now, webhook: hook })

const people = { ann: 'writer', ben: 'writer', rea: 'reader' } as const
type Name = keyof typeof people
const userOf = (name: Name) => ({ id: name, name, role: people[name], key_hash: hashOf(`key of ${name}`) })
const keyOf = (name: Name) => () => ({ 'x-api-key': `key of ${name}` })

export const kit = await createKit({
  run,
  door,
  app,
  prepare: data.migrate,
  seed: async () => {
    await data.db.insert(data.tables.users).values([userOf('ann'), userOf('ben'), userOf('rea')])
    return { names: Object.keys(people) }
  },
  fixtures: {
    ann: ({ client }) => client(keyOf('ann')),
    ben: ({ client }) => client(keyOf('ben')),
    rea: ({ client }) => client(keyOf('rea')),
    stranger: ({ client }) => client(() => ({})),
  },
})
export const { test, describe } = kit
