import type { Observer } from '../../src/analytics/hook'
import { buildApp } from '../../src/app'
import { tokenVerifier } from '../../src/auth/tokens'
import { historyBefore } from '../../src/conversations/messages'
import { type Connection, connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { migrate } from '../../src/database/migrate'
import { acrossTenants, asTenant } from '../../src/database/reach'
import type { Scope } from '../../src/database/session'
import { openEgress } from '../../src/egress/open'
import { newId, systemClock } from '../../src/ids'
import { JobBell } from '../../src/jobs/job'
import { Lifetime } from '../../src/lifetime'
import { Metrics } from '../../src/metrics/metrics'
import { readBacklog } from '../../src/metrics/queue'
import { openFiles } from '../../src/plugins/files'
import { plugins } from '../../src/plugins/registry'
import { echoProvider } from '../../src/providers/echo'
import { buildSealer } from '../../src/sealing'
import { addCaller, type Caller } from './database'
import { secret } from './processes'

const tenants = 100
const messagesEach = 20
const leastConversations = 20

/** A database with this many messages, and what is asked of it; each call asks for another tenant or conversation. */
export async function openSized(url: string, messages: number) {
  return actsOn(connect(url), await fillSized(url, messages))
}

/** The same through a connection of one's own. */
export function actsOn(connection: Connection, callers: readonly (Caller & { written: number })[]) {
  const { database } = connection
  const app = appOn(connection)
  const written = callers.flatMap((caller) =>
    caller.conversations.slice(0, caller.written).map((conversation) => ({ ...caller, conversation })),
  )
  const get = async (path: string, { authorization }: { authorization: string }) => {
    const response = await app.handle(
      new Request(`http://localhost/api/v1/conversations${path}`, { headers: { authorization } }),
    )
    if (response.status !== 200) throw new Error(await response.text())
    await response.text()
  }

  return {
    list: () => get('', any(callers)),
    history: () => {
      const { conversation, ...caller } = any(written)
      return get(`/${conversation}/messages`, caller)
    },
    prompt: async () => {
      const { tenant_id, conversation } = any(written)
      const principal = { tenant_id, user_id: '', role: 'operator' } as const
      const prompts = await asTenant(tenant_id, () =>
        historyBefore(database, principal, conversation, messagesEach + 1),
      )
      if (prompts.length !== messagesEach) throw new Error(`${prompts.length} messages instead of ${messagesEach}`)
    },
    rareWord: () => get('?q=zebra', any(callers)),
    commonWord: () => get(`?q=${words[7]}`, any(callers)),
    chat: async () => {
      const response = await app.handle(
        new Request('http://localhost/api/v1/chat', {
          method: 'POST',
          headers: { authorization: any(callers).authorization, 'content-type': 'application/json' },
          body: JSON.stringify({ message: 'What should we look at first?' }),
        }),
      )
      if (response.status !== 200) throw new Error(await response.text())
      await response.text()
    },
    close: () => connection[Symbol.asyncDispose](),
  }
}

/** The service on a database, listening nowhere. */
export function appOn({ database, ping, load }: Connection, observers: readonly Observer[] = []) {
  const jwt = { secret, issuer: undefined, audience: 'tenantry', jwksUrl: undefined }
  const egress = openEgress({ allow: [] })
  const metrics = new Metrics({
    version: 'bench',
    backlog: () => readBacklog({ database, clock: systemClock }),
    databaseLoad: load,
    dropped: () => 0,
    delays: () => undefined,
  })
  return buildApp({
    database,
    ping,
    verifyToken: tokenVerifier(jwt, systemClock, egress),
    provider: echoProvider,
    defaultModel: 'echo',
    clock: systemClock,
    stopwatch: () => performance.now(),
    observers,
    metrics,
    metricsToken: undefined,
    reporter: { info() {}, warn() {}, unexpected: fail },
    lifetime: new Lifetime(fail),
    plugins,
    egress,
    sealer: buildSealer({ current: undefined, previous: undefined }),
    files: openFiles(undefined),
    jobBell: new JobBell(),
    limits: {
      provider: { totalMs: 1000, firstByteMs: 1000, idleMs: 1000, retryMs: 1, longestReply: 1000 },
      heartbeatMs: 1000,
    },
    corsOrigins: [],
    openapi: false,
    dashboard: false,
    version: 'bench',
  })
}

function fail(error: unknown): never {
  throw error
}

const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T

const words = Array.from(
  { length: 500 },
  (_, n) => `${'bcdfghklmn'[n % 10]}${'aeiou'[n % 5]}${'prstvw'[n % 6]}${n.toString(26)}`,
)

/** Twenty words, now and then the rare one; the same ones every time. */
const contentOf = (n: number): string =>
  Array.from({ length: 20 }, (_, at) =>
    at === 3 && n % 1009 === 0 ? 'zebra' : words[(n * 31 + at * 17 + n * at) % words.length],
  ).join(' ')

/** Written by SQL in batches, with the triggers of the full-text index at work as in production. */
export async function fillSized(url: string, total: number): Promise<(Caller & { written: number })[]> {
  await using connection = connect(url)
  await migrate(connection.root)
  const { database, root } = connection
  const conversationsEach = Math.max(leastConversations, total / tenants / messagesEach)
  const callers: (Caller & { written: number })[] = []
  const addCallers = async () => {
    for (let n = 0; n < tenants; n++) {
      callers.push({ ...(await addCaller(database, `tenant-${n}`, conversationsEach)), written: 0 })
    }
  }
  await acrossTenants('they are filled at once', () => database.transaction(addCallers))

  const columns = ['tenant_id', 'conversation_id', 'position', 'id', 'role', 'content', 'status', 'created_at']
  const insert = batchInsert('messages', columns)
  const now = dialect === 'sqlite' ? Date.now() : new Date().toISOString()
  // One conversation of every tenant after the other, until there are enough: tenants grow together, as they do in life.
  for (let n = 0; n * messagesEach < total; n++) {
    const caller = callers[n % tenants] as (typeof callers)[number]
    const conversation = caller.conversations[caller.written++]
    const rows = Array.from({ length: messagesEach }, (_, at) => [
      caller.tenant_id,
      conversation,
      at + 1,
      newId(systemClock),
      at % 2 === 0 ? 'user' : 'assistant',
      contentOf(n * messagesEach + at),
      'complete',
      now,
    ])
    await insert.add(root, rows.flat())
  }
  await insert.flush(root)
  const counted =
    'update conversations set message_count = (select count(*) from messages where messages.tenant_id = conversations.tenant_id and conversation_id = conversations.id)'
  await root.run({ text: counted, params: [], shape: 'arrays' })
  // What autovacuum does in time; SQLite does its part when the connection closes.
  if (dialect === 'postgres') await root.run({ text: 'vacuum analyze', params: [], shape: 'arrays' })
  return callers
}

const rowsAtOnce = 500

function batchInsert(table: string, columns: string[]) {
  let waiting: unknown[] = []
  const textFor = (rows: number) => {
    const row = (_: unknown, at: number) =>
      `(${columns.map((_, column) => (dialect === 'sqlite' ? '?' : `$${at * columns.length + column + 1}`)).join(', ')})`
    return `insert into ${table} (${columns.join(', ')}) values ${Array.from({ length: rows }, row).join(', ')}`
  }
  const full = textFor(rowsAtOnce)
  const flush = async (root: Scope) => {
    const rows = waiting.length / columns.length
    if (rows === 0) return
    const text = rows === rowsAtOnce ? full : textFor(rows)
    const params = waiting
    waiting = []
    await root.run({ text, params, shape: 'arrays' })
  }
  return {
    flush,
    async add(root: Scope, values: unknown[]) {
      waiting.push(...values)
      if (waiting.length === rowsAtOnce * columns.length) await flush(root)
    },
  }
}
