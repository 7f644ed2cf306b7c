import { Database, type SQLQueryBindings } from 'bun:sqlite'
import { groupCommit } from '../src/database/group-commit'
import type { Session } from '../src/database/session'
import { newId, systemClock } from '../src/ids'
import { secret } from './support/processes'

/**
 * The least that a chat and a list cost on this machine: Bun.serve and the service's statements by hand, with no framework,
 * no validation, no plugins, no limits and no records. Commits are shared as the service shares them. chat.ts and list.ts start it in a process of its own, with a
 * database file and, for chats, the address of a model server.
 */
const [path = '', upstream = ''] = process.argv.slice(2)
const client = new Database(path, { readwrite: true, strict: true })
for (const pragma of ['journal_mode = wal', 'synchronous = normal', 'foreign_keys = on', 'wal_autocheckpoint = 8000'])
  client.run(`pragma ${pragma}`)

type Statement = ReturnType<typeof prepared>
const prepared = (text: string) => client.query<unknown, SQLQueryBindings[]>(text)
// A parameter behind a + is not looked at by SQLite's planner, which would plan again for each value.
const userOf = prepared(
  'select users.id, role, users.is_active, tenants.is_active from users join tenants on tenants.id = tenant_id where tenant_id = +? and external_id = +?',
)
const settingsOf = prepared('select default_model, system_prompt from tenant_settings where tenant_id = +?')
const count = prepared(
  'update conversations set message_count = message_count + 1, updated_at = +? where tenant_id = +? and id = +? returning message_count, system_prompt',
)
const insert = prepared(
  'insert into messages (tenant_id, conversation_id, position, id, role, content, status, model, prompt_tokens, completion_tokens, created_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
)
const historyOf = prepared(
  "select role, content from messages where tenant_id = +? and conversation_id = +? and position < +? and status = 'complete' order by position desc limit 100",
)
const use = prepared(
  'insert into usage_records (tenant_id, id, user_id, conversation_id, message_id, model, prompt_tokens, completion_tokens, is_estimated, created_at) values (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)',
)
const newest = prepared(
  'select id, tenant_id, user_id, title, system_prompt, metadata, is_archived, message_count, created_at, updated_at, (select count(*) from conversations where tenant_id = +? and is_archived = 0) as total from conversations where tenant_id = +? and is_archived = 0 order by id desc limit 20',
)

type Caller = { tenant_id: string; user_id: string }

/** HS256, its expiry and the user behind it. */
function callerOf(request: Request): Caller {
  const [head = '', body = '', signature] = request.headers.get('authorization')?.slice(7).split('.') ?? []
  const wanted = new Bun.CryptoHasher('sha256', secret).update(`${head}.${body}`).digest('base64url')
  const { sub, tenant_id, exp } = JSON.parse(Buffer.from(body, 'base64url').toString())
  const [user_id] = userOf.values(tenant_id, sub)[0] ?? []
  if (signature !== wanted || exp * 1000 < Date.now() || user_id === undefined) throw new Error('Not a caller.')
  return { tenant_id, user_id: String(user_id) }
}

const steps = ['begin immediate', 'commit', 'rollback', 'select total_changes()'] as const
const [begin, commit, rollback, changes] = steps.map(prepared) as [Statement, Statement, Statement, Statement]
const nowhere: Session = { run: async () => [], nest: (work) => work(nowhere) }
const shared = groupCommit({
  run: nowhere.run,
  inner: nowhere,
  begin: async () => void begin.run(),
  commit: () => void commit.run(),
  rollback: () => void rollback.run(),
  written: () => changes.values()[0]?.[0] as number,
})
const inTransaction = <T>(work: () => T): Promise<T> => shared.nest(async () => work())

type Said = { role: string; content: string; model?: string; prompt_tokens?: number; completion_tokens?: number }

function append({ tenant_id }: Caller, conversation_id: string, { role, content, ...more }: Said) {
  const now = Date.now()
  const [position, system] = count.values(now, tenant_id, conversation_id)[0] as [number, string | null]
  const { model = null, prompt_tokens = null, completion_tokens = null } = more
  const id = newId(systemClock)
  const row = [tenant_id, conversation_id, position, id, role, content, 'complete', model, prompt_tokens]
  insert.run(...row, completion_tokens, now)
  return { id, position, system: system as string | null }
}

async function chat(request: Request): Promise<Response> {
  const caller = callerOf(request)
  const { message, conversation_id } = (await request.json()) as { message: string; conversation_id: string }
  const [model, prompt] = settingsOf.values(caller.tenant_id)[0] ?? []
  const question = { role: 'user', content: message }
  const { position, system } = await inTransaction(() => append(caller, conversation_id, question))
  const history = historyOf.values(caller.tenant_id, conversation_id, position).reverse()
  const first = system ?? prompt
  const messages = [
    ...(first ? [{ role: 'system', content: first }] : []),
    ...history.map(([role, content]) => ({ role, content })),
    { role: 'user', content: message },
  ]
  const startedAt = performance.now()
  const answer = await fetch(`${upstream}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: model ?? 'fixed', messages }),
  })
  const said = (await answer.json()) as Completion
  const latency_ms = Math.round(performance.now() - startedAt)
  const content = said.choices[0].message.content
  const { prompt_tokens, completion_tokens, total_tokens } = said.usage
  const message_id = await inTransaction(() => {
    const reply = { role: 'assistant', content, model: said.model, prompt_tokens, completion_tokens }
    const { id } = append(caller, conversation_id, reply)
    const { tenant_id, user_id } = caller
    const now = Date.now()
    use.run(
      tenant_id,
      newId(systemClock),
      user_id,
      conversation_id,
      id,
      said.model,
      prompt_tokens,
      completion_tokens,
      now,
    )
    return id
  })
  const usage = { prompt_tokens, completion_tokens, total_tokens }
  return json({ response: content, conversation_id, message_id, model: said.model, usage, latency_ms })
}

type Completion = {
  model: string
  choices: [{ message: { content: string } }]
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number }
}

function list(request: Request): Response {
  const { tenant_id } = callerOf(request)
  const rows = newest.all(tenant_id, tenant_id) as {
    total: number
    metadata: string
    is_archived: number
    created_at: number
    updated_at: number
  }[]
  const conversations = rows.map(({ total: _, ...row }) => ({
    ...row,
    metadata: JSON.parse(row.metadata),
    is_archived: row.is_archived === 1,
    created_at: new Date(row.created_at),
    updated_at: new Date(row.updated_at),
  }))
  return json(conversations, { 'x-total-count': String(rows[0]?.total ?? 0) })
}

const json = (value: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(value), { headers: { 'content-type': 'application/json', ...headers } })

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 255,
  fetch: (request) => (request.method === 'POST' ? chat(request) : list(request)),
})
console.error(server.url.origin)
