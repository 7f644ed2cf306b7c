import { inArray } from 'drizzle-orm'
import { connect } from '../src/database/database'
import { jobs, tenant_plugins } from '../src/database/tables'
import { systemClock } from '../src/ids'
import { sealConfig } from '../src/plugins/config'
import { plugins } from '../src/plugins/registry'
import { buildSealer } from '../src/sealing'
import { type Caller, populate, temporaryDatabase } from './support/database'
import { load, type Run, request } from './support/load'
import { interleaved, quick, report, show, spread, verdict } from './support/measure'
import { startProgram, startService } from './support/processes'

const forMs = quick ? 300 : 3000
const rounds = quick ? 2 : 7

await using upstream = await startProgram('upstream.ts')
await using receiver = await startProgram('upstream.ts')
const encryptionKey = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')

type Configs = Record<string, Record<string, unknown>>
const inTheChat: Configs = {
  moderation: { words: ['darn', 'heck', 'confidential draft'], patterns: ['\\bproject[- ]x\\b'], action: 'refuse' },
  pii_redaction: { restore: true },
  calculator: {},
}
const toldOfIt: Configs = {
  webhook: { url: `${receiver.origin}/hook`, events: ['reply.completed'], secret: `whsec_${'A'.repeat(32)}` },
  slack_notifications: { webhook_url: `${receiver.origin}/slack`, events: ['reply.failed', 'user.created'] },
  email_notifications: {
    smtp_host: '127.0.0.1',
    smtp_port: 2525,
    from_email: 'tenantry@acme.example',
    to: ['ops@acme.example'],
    events: ['reply.failed', 'daily_summary.ready'],
  },
}

await using chatting = await service({ JOBS_CONCURRENCY: '0' })
await using delivering = await service({})

const runs = await interleaved(rounds, {
  none: () => load(chatting, chatting.none, { callers: 32, forMs }),
  inTheChat: () => load(chatting, chatting.inTheChat, { callers: 32, forMs }),
  toldOfIt: () => load(chatting, chatting.toldOfIt, { callers: 32, forMs }),
  alone: () => load(delivering, delivering.none, { callers: 32, forMs }),
  // What is left over would be brought at the cost of the next round.
  delivered: () => load(delivering, delivering.toldOfIt, { callers: 32, forMs }).finally(delivering.allDelivered),
})

const ratio = (those: readonly Run[], to: readonly Run[]) =>
  spread(those.map((run, round) => run.perSecond / (to[round]?.perSecond ?? Number.NaN)))
const row = (name: string, those: readonly Run[], to = runs.none, target = true) => [
  name,
  show(spread(those.map(({ perSecond }) => perSecond)), 0),
  show(spread(those.map(({ cpuUs }) => cpuUs)), 0),
  those === to ? '' : show(ratio(those, to), 2),
  those === to || !target ? '' : verdict(ratio(those, to).median, 'at least', 0.9, 'of none'),
]
report(
  'Plugins',
  `\`POST /api/v1/chat\` by 32 callers, with ${plugins.length} plugins registered (${plugins.map(({ name }) => name).join(', ')}): tenants that enabled none, tenants with three that act in the chat (moderation, pii_redaction, calculator), and tenants with three that are told of it (webhook, slack_notifications, email_notifications), where each reply leaves a job for the webhook. Jobs are left to other processes (\`JOBS_CONCURRENCY=0\`) in the first three rows; in the last one the same process brings them meanwhile, and its ratio is to the row before. Median (min to max) of ${rounds} rounds of ${forMs / 1000} s.`,
  ['', 'replies/s', 'CPU µs for each', 'ratio', 'target'],
  [
    row('none enabled', runs.none),
    row('three in the chat', runs.inTheChat),
    row('three told of it', runs.toldOfIt),
    row('none enabled, jobs in the same process', runs.alone, runs.alone),
    row('three told of it, jobs in the same process', runs.delivered, runs.alone, false),
  ],
)

/** A service with ten tenants of each kind, and what they ask. */
async function service(env: Record<string, string>) {
  const tenantsEach = 10
  const file = await temporaryDatabase()
  const callers = await populate(file.url, 3 * tenantsEach, 200)
  const [none, chat, told] = [0, 1, 2].map((group) => callers.slice(group * tenantsEach, (group + 1) * tenantsEach))
  await switchOn(file.url, chat ?? [], inTheChat)
  await switchOn(file.url, told ?? [], toldOfIt)
  const started = await startService(file.url, {
    PROVIDER_BASE_URL: upstream.origin,
    PROVIDER_MODEL: 'fixed',
    ENCRYPTION_KEY: encryptionKey,
    EGRESS_ALLOW: '127.0.0.1',
    ...env,
  })
  return {
    origin: started.origin,
    pid: started.pid,
    none: chats(none ?? []),
    inTheChat: chats(chat ?? []),
    toldOfIt: chats(told ?? []),
    async allDelivered() {
      await using connection = connect(file.url)
      const waiting = () => connection.database.$count(jobs, inArray(jobs.state, ['queued', 'running']))
      while ((await waiting()) > 0) await Bun.sleep(50)
    },
    async [Symbol.asyncDispose]() {
      await started[Symbol.asyncDispose]()
      file[Symbol.dispose]()
    },
  }
}

/** Each conversation in turn, so that histories stay as short as those of most conversations are. */
function chats(group: readonly Caller[]): Buffer[] {
  const message = 'What should we look at first in the third quarter?'
  return Array.from({ length: 200 }, (_, n) =>
    group.map(({ authorization, conversations }) =>
      request('POST', '/api/v1/chat', { authorization }, { message, conversation_id: conversations[n] }),
    ),
  ).flat()
}

/** As the API would store it. */
async function switchOn(url: string, group: readonly Caller[], configs: Configs): Promise<void> {
  const sealer = buildSealer({ current: encryptionKey, previous: undefined })
  const now = systemClock.now()
  const chosen = plugins.filter(({ name }) => configs[name])
  const rows = group.flatMap(({ tenant_id }) =>
    chosen.map((plugin) => ({
      tenant_id,
      name: plugin.name,
      is_enabled: true,
      created_at: now,
      updated_at: now,
      ...sealConfig(sealer, [tenant_id, plugin.name], plugin, configs[plugin.name] ?? {}),
    })),
  )
  await using connection = connect(url)
  await connection.database.insert(tenant_plugins).values(rows)
}
