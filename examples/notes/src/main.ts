import { Database } from 'bun:sqlite'
import postgres from 'postgres'
import { buildApp } from './app'
import { dataOf } from './data'
import { openPostgres } from './postgres'
import { openSqlite } from './sqlite'

const {
  DATABASE_URL: url = ':memory:',
  WEBHOOK_URL: webhook = 'http://localhost:9999/',
  PORT: port = '3000',
} = process.env
const data = dataOf(url.startsWith('postgres') ? openPostgres(postgres(url)) : openSqlite(new Database(url)))
await data.migrate()
const { server } = buildApp({ data, now: () => new Date(), webhook }).listen(Number(port))
console.info(`Notes at ${server?.url}`)
