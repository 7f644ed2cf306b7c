import { Scope } from '../../src/database/session'
import { database, expect, test } from '../../test/kit'
import { runDatabase } from '../../test/setup'
import type { Flow } from './by-hand'

/** Writes down what three requests ask the database, for the benchmarks that ask the same by hand. */
test('creates, chats and lists', async ({ adminA, model, ledger }) => {
  const rows = (table: string) =>
    Scope.current()?.run({ text: `select * from ${table}`, params: [], shape: 'objects' }) as Promise<never[]>
  const flow: Flow = {
    dialect: runDatabase.dialect,
    rows: { tenants: await rows('tenants'), users: await rows('users') },
    steps: [],
  }
  model.says('Hello there', { prompt_tokens: 3, completion_tokens: 2 })
  // The ledger does not say where one transaction ends and the next begins.
  const begin = database.transaction
  const begun = new Set<number>()
  database.transaction = (work) => {
    begun.add(statements().length)
    return begin(work)
  }
  const statements = () => ledger.requests.flatMap((request) => request.statements)

  const created = await adminA.post('/api/v1/conversations', { title: 'Q3 planning' })
  const reply = await adminA.post('/api/v1/chat', { message: 'Hello', conversation_id: created.body.id })
  const list = await adminA.get('/api/v1/conversations')

  expect([created.status, reply.status, list.status]).toEqual([201, 200, 200])
  database.transaction = begin
  for (const [at, { text, params, depth }] of statements().entries()) {
    if (depth === 0 || begun.has(at)) flow.steps.push({ isTransaction: depth > 0, statements: [] })
    flow.steps.at(-1)?.statements.push({ text, params: params as never[] })
  }
  await Bun.write(process.env.BENCH_FLOW ?? '', JSON.stringify(flow))
})
