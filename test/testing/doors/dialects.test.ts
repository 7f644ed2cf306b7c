import { expect, test } from 'bun:test'
import { drizzle as onSqlite } from 'drizzle-orm/bun-sqlite'
import { drizzle as onPostgres } from 'drizzle-orm/postgres-js'
import { Elysia } from 'elysia'
import { createKit, drizzlePostgres, drizzleSqlite, openRunDatabase } from '../../../src/testing'

test('an app on PostgreSQL is refused a run on SQLite, before it connects to anything', async () => {
  const { door } = drizzlePostgres((client) => onPostgres(client))
  const run = await openRunDatabase({ env: {} })

  const making = createKit({ run, door, app: new Elysia(), prepare: async () => {} })

  await expect(making).rejects.toThrow('drizzlePostgres opens PostgreSQL only, and the database of this run is SQLite')
})

test('an app on SQLite is refused a run on PostgreSQL', () => {
  const { door } = drizzleSqlite((client) => onSqlite({ client }))

  const opening = () => door.open('postgres://app@localhost/app_test_1')

  expect(opening).toThrow('drizzleSqlite opens SQLite only, and the database of this run is PostgreSQL')
})
