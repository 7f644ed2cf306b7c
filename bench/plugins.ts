import { inArray } from 'drizzle-orm'
import { connect } from '../src/database/database'
import { jobs, tenant_plugins } from '../src/database/tables'
import { systemClock } from '../src/ids'
import { sealConfig } from '../src/plugins/config'
import { plugins } from '../src/plugins/registry'
import { buildSealer } from '../src/sealing'
import { type Caller, populate, temporaryDatabase } from './support/database'
import { load, type Run, request } from './support/load'
import { interleaved, number, quick, report, show, spread, verdict } from './support/measure'
import { startProgram, startService } from './support/processes'

const forMs = quick ? 300 : 3000
const rounds = quick ? 2 : 7
const tenantsEach = 10

using file = await temporaryDatabase()
await using upstream = await startProgram('upstream.ts')
await using receiver = await startProgram('upstream.ts')
const encryptionKey = Buffer.alloc(32, 7).toString('base64')

/** Three plugins at work, of all that are registered. */
const inChats = {
  moderation: { words: ['darn', 'heck', 'confidential draft'], patterns: ['\\bproject[- ]x\\b'], action: 'refuse' },
  pii_redaction: { restore: true },
  calculator: {},
}
const afterReplies = {
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

const callers = await populate(file.url, 3 * tenantsEach, 200)
const groups = {
  none: callers.slice(0, tenantsEach),
  chats: callers.slice(tenantsEach, 2 * tenantsEach),
  events: callers.slice(2 * tenantsEach),
}
await switchOn(groups.chats, inChats)
await switchOn(groups.events, afterReplies)
await using service = await startService(file.url, {
  PROVIDER_BASE_URL: upstream.origin,
  PROVIDER_MODEL: 'fixed',
  ENCRYPTION_KEY: encryptionKey,
  EGRESS_ALLOW: '127.0.0.1',
})

const message = 'What should we look at first in the third quarter?'
/** Each conversation in turn, so that histories stay short. */
const chats = (group: Caller[]) =>
  Array.from({ length: 200 }, (_, n) =>
    group.map(({ authorization, conversations }) =>
      request('POST', '/api/v1/chat', { authorization }, { message, conversation_id: conversations[n] }),
    ),
  ).flat()
const asked = { none: chats(groups.none), chats: chats(groups.chats), events: chats(groups.events) }

const runs = await interleaved(rounds, {
  none: () => load(service, asked.none, { callers: 32, forMs }),
  chats: () => load(service, asked.chats, { callers: 32, forMs }),
  events: () => load(service, asked.events, { callers: 32, forMs }).finally(allDelivered),
})

const ratio = (those: readonly Run[]) =>
  spread(those.map((run, round) => run.perSecond / (runs.none[round]?.perSecond ?? Number.NaN)))
const row = (name: string, those: readonly Run[]) => [
  name,
  show(spread(those.map(({ perSecond }) => perSecond)), 0),
  show(spread(those.map(({ cpuUs }) => cpuUs)), 0),
  show(ratio(those), 2),
  those === runs.none ? '' : verdict(ratio(those).median, 'at least', 0.9, 'of none'),
]
report(
  'Plugins',
  `\`POST /api/v1/chat\` by 32 callers, on one service with ${plugins.length} plugins registered: tenants that enabled none, three that act in the chat (moderation, pii_redaction, calculator), and three that are told of it, where each reply is brought to a webhook by a job of the same process (webhook, slack_notifications, email_notifications). The last pays for what it delivers meanwhile, too: a job, a signature, a request each; what is left over then is delivered before the next round. Median (min to max) of ${rounds} rounds of ${forMs / 1000} s.`,
  ['', 'replies/s', 'CPU µs for each', 'ratio', 'target'],
  [row('none enabled', runs.none), row('three in the chat', runs.chats), row('three told of it', runs.events)],
)
console.log(`Registered: ${plugins.map(({ name }) => name).join(', ')} (${number(plugins.length, 0)}).\n`)

/** What is still to be brought would be brought at the cost of the next round. */
async function allDelivered(): Promise<void> {
  await using connection = connect(file.url)
  const waiting = () => connection.database.$count(jobs, inArray(jobs.state, ['queued', 'running']))
  while ((await waiting()) > 0) await Bun.sleep(50)
}

/** As the API would store it. */
async function switchOn(group: readonly Caller[], configs: Record<string, Record<string, unknown>>): Promise<void> {
  const sealer = buildSealer({ current: encryptionKey, previous: undefined })
  const now = systemClock.now()
  const rows = group.flatMap(({ tenant_id }) =>
    plugins
      .filter(({ name }) => configs[name])
      .map((plugin) => ({
        tenant_id,
        name: plugin.name,
        is_enabled: true,
        created_at: now,
        updated_at: now,
        ...sealConfig(sealer, [tenant_id, plugin.name], plugin, configs[plugin.name] ?? {}),
      })),
  )
  await using connection = connect(file.url)
  await connection.database.insert(tenant_plugins).values(rows)
}
