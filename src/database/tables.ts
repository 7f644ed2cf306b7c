import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  json,
  primaryKey,
  table,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} from './columns'

/** Every table of a tenant leads its keys with this column; the composite keys below make a foreign row impossible. */
const tenant_id = () =>
  uuid()
    .notNull()
    .references(() => tenants.id, { onDelete: 'cascade' })

/** In millionths of a currency unit for a million tokens. */
export type Prices = Record<
  string,
  { prompt_micros_per_million_tokens: number; completion_micros_per_million_tokens: number }
>

export const tenants = table('tenants', {
  id: uuid().primaryKey(),
  slug: text().notNull().unique(),
  name: text().notNull(),
  is_active: boolean().notNull().default(true),
  created_at: timestamp().notNull(),
  updated_at: timestamp().notNull(),
})

export const tenant_settings = table('tenant_settings', {
  tenant_id: tenant_id().primaryKey(),
  default_model: text(),
  system_prompt: text(),
  monthly_token_quota: bigint(),
  requests_per_minute: integer(),
  retention_days: integer(),
  /** What tokens cost, by model: see analytics/cost.ts. */
  prices: json().$type<Prices>().notNull().default({}),
  /** Request records of earlier days may be gone; their rollups stay. */
  requests_pruned_before: text(),
  updated_at: timestamp().notNull(),
})

export const users = table(
  'users',
  {
    tenant_id: tenant_id(),
    id: uuid().notNull(),
    external_id: text().notNull(),
    email: text().notNull(),
    display_name: text(),
    role: text({ enum: ['viewer', 'operator', 'admin'] }).notNull(),
    is_active: boolean().notNull().default(true),
    created_at: timestamp().notNull(),
    updated_at: timestamp().notNull(),
  },
  (user) => [
    primaryKey({ name: 'users_key', columns: [user.tenant_id, user.id] }),
    unique('users_external_id').on(user.tenant_id, user.external_id),
    unique('users_email').on(user.tenant_id, user.email),
    check('users_role', sql`${user.role} in ('viewer', 'operator', 'admin')`),
  ],
)

export const conversations = table(
  'conversations',
  {
    tenant_id: tenant_id(),
    id: uuid().notNull(),
    user_id: uuid().notNull(),
    title: text(),
    system_prompt: text(),
    metadata: json().$type<Record<string, unknown>>().notNull(),
    is_archived: boolean().notNull().default(false),
    /** Also the position of the newest message: counted in the transaction that appends it. */
    message_count: integer().notNull().default(0),
    created_at: timestamp().notNull(),
    updated_at: timestamp().notNull(),
  },
  (conversation) => [
    primaryKey({ name: 'conversations_key', columns: [conversation.tenant_id, conversation.id] }),
    foreignKey({
      name: 'conversations_user',
      columns: [conversation.tenant_id, conversation.user_id],
      foreignColumns: [users.tenant_id, users.id],
    }).onDelete('cascade'),
    index('conversations_newest').on(conversation.tenant_id, conversation.is_archived, conversation.id),
    index('conversations_by_user').on(conversation.tenant_id, conversation.user_id),
  ],
)

export const messages = table(
  'messages',
  {
    tenant_id: tenant_id(),
    conversation_id: uuid().notNull(),
    /** 1 for the first message of its conversation, without gaps. Order does not depend on any clock. */
    position: integer().notNull(),
    id: uuid().notNull(),
    role: text({ enum: ['user', 'assistant', 'system', 'tool'] }).notNull(),
    content: text().notNull(),
    status: text({ enum: ['complete', 'interrupted', 'failed'] }).notNull(),
    model: text(),
    prompt_tokens: integer(),
    completion_tokens: integer(),
    /** Of a `tool` message: what the model asked for, as it was run. */
    tool_call: json().$type<{ name: string; arguments: Record<string, unknown> }>(),
    /** What plugins had to say of this message, by plugin. */
    annotations: json().$type<Record<string, unknown>>(),
    created_at: timestamp().notNull(),
  },
  (message) => [
    primaryKey({ name: 'messages_key', columns: [message.tenant_id, message.conversation_id, message.position] }),
    unique('messages_id').on(message.tenant_id, message.id),
    foreignKey({
      name: 'messages_conversation',
      columns: [message.tenant_id, message.conversation_id],
      foreignColumns: [conversations.tenant_id, conversations.id],
    }).onDelete('cascade'),
    check('messages_role', sql`${message.role} in ('user', 'assistant', 'system', 'tool')`),
    check('messages_status', sql`${message.status} in ('complete', 'interrupted', 'failed')`),
  ],
)

/** One immutable line for each reply; it outlives the conversation, because it was paid for. */
export const usage_records = table(
  'usage_records',
  {
    tenant_id: tenant_id(),
    id: uuid().notNull(),
    user_id: uuid().notNull(),
    conversation_id: uuid().notNull(),
    message_id: uuid().notNull(),
    model: text().notNull(),
    prompt_tokens: integer().notNull(),
    completion_tokens: integer().notNull(),
    /** True where the provider did not say, or said something impossible, and we counted characters instead. */
    is_estimated: boolean().notNull(),
    created_at: timestamp().notNull(),
  },
  (usage) => [
    primaryKey({ name: 'usage_records_key', columns: [usage.tenant_id, usage.id] }),
    foreignKey({
      name: 'usage_records_user',
      columns: [usage.tenant_id, usage.user_id],
      foreignColumns: [users.tenant_id, users.id],
    }).onDelete('cascade'),
    index('usage_records_by_user').on(usage.tenant_id, usage.user_id),
    check('usage_records_tokens', sql`${usage.prompt_tokens} >= 0 and ${usage.completion_tokens} >= 0`),
  ],
)

/** What a client asked to have done once: see chat/idempotency.ts. */
export const idempotency_keys = table(
  'idempotency_keys',
  {
    tenant_id: tenant_id(),
    user_id: uuid().notNull(),
    key: text().notNull(),
    /** SHA-256 of the request, so that the same key with another body is noticed. */
    fingerprint: text().notNull(),
    conversation_id: uuid().notNull(),
    /** The user's message that was appended for this key. */
    message_id: uuid().notNull(),
    /** The answer, once there is one. */
    response: json().$type<Record<string, unknown>>(),
    /** Until then an attempt is running; afterwards the next one may take over. */
    locked_until: timestamp().notNull(),
    created_at: timestamp().notNull(),
  },
  (key) => [
    primaryKey({ name: 'idempotency_keys_key', columns: [key.tenant_id, key.user_id, key.key] }),
    foreignKey({
      name: 'idempotency_keys_user',
      columns: [key.tenant_id, key.user_id],
      foreignColumns: [users.tenant_id, users.id],
    }).onDelete('cascade'),
    foreignKey({
      name: 'idempotency_keys_conversation',
      columns: [key.tenant_id, key.conversation_id],
      foreignColumns: [conversations.tenant_id, conversations.id],
    }).onDelete('cascade'),
    index('idempotency_keys_conversation').on(key.tenant_id, key.conversation_id),
    index('idempotency_keys_when').on(key.tenant_id, key.created_at),
  ],
)

/** What a tenant switched on, and how; there is a row once an admin has touched the plugin. */
export const tenant_plugins = table(
  'tenant_plugins',
  {
    tenant_id: tenant_id(),
    name: text().notNull(),
    is_enabled: boolean().notNull().default(false),
    /** What is not secret of the config; null where there is none. */
    config: json().$type<Record<string, unknown>>(),
    /** The secret fields of the config as one sealed JSON object; see sealing.ts. */
    sealed_secrets: text(),
    /** Which key sealed them, so that a missing one is noticed at start. */
    key_id: text(),
    /** Since it was last enabled or configured. */
    failure_count: integer().notNull().default(0),
    last_failed_at: timestamp(),
    last_error: text(),
    created_at: timestamp().notNull(),
    updated_at: timestamp().notNull(),
  },
  (plugin) => [
    primaryKey({ name: 'tenant_plugins_key', columns: [plugin.tenant_id, plugin.name] }),
    index('tenant_plugins_sealed_with').on(plugin.key_id),
  ],
)

/** Who changed what of a tenant, and when; never a secret. */
export const audit_log = table(
  'audit_log',
  {
    tenant_id: tenant_id(),
    id: uuid().notNull(),
    user_id: uuid().notNull(),
    action: text().notNull(),
    /** What was acted on: the name of a plugin, the id of a job. */
    subject: text().notNull(),
    detail: json().$type<Record<string, unknown>>().notNull(),
    created_at: timestamp().notNull(),
  },
  (entry) => [
    primaryKey({ name: 'audit_log_key', columns: [entry.tenant_id, entry.id] }),
    foreignKey({
      name: 'audit_log_user',
      columns: [entry.tenant_id, entry.user_id],
      foreignColumns: [users.tenant_id, users.id],
    }).onDelete('cascade'),
    index('audit_log_by_user').on(entry.tenant_id, entry.user_id),
  ],
)

/** Work that outlives its request and the process: see jobs/. */
export const jobs = table(
  'jobs',
  {
    tenant_id: tenant_id(),
    id: uuid().notNull(),
    kind: text().notNull(),
    payload: json().$type<Record<string, unknown>>().notNull(),
    /** There is one job of a kind with a key, for as long as its row is kept. */
    unique_key: text(),
    state: text({ enum: ['queued', 'running', 'done', 'dead'] }).notNull(),
    /** How often it was begun. */
    attempts: integer().notNull().default(0),
    /** When it may be taken: of a running job, when its lease ends; null when it has ended, done or dead. */
    due_at: timestamp(),
    /** Whoever took it last; only the holder may say how it ended. */
    lease_id: uuid(),
    last_error: text(),
    created_at: timestamp().notNull(),
    updated_at: timestamp().notNull(),
  },
  (job) => [
    primaryKey({ name: 'jobs_key', columns: [job.tenant_id, job.id] }),
    // Most jobs have no key, and an index that holds them too is a page to write for each.
    uniqueIndex('jobs_unique_key')
      .on(job.tenant_id, job.kind, job.unique_key)
      .where(sql`${job.unique_key} is not null`),
    // Of those that are not over. By no other column than this, so that Postgres knows how few are due, goes along the
    // index, and forgets on its way what is over; else it reads thousands of dead entries for each job until a vacuum.
    index('jobs_due').on(job.due_at).where(sql`${job.due_at} is not null`),
    index('jobs_dead').on(job.tenant_id, job.id).where(sql`${job.state} = 'dead'`),
    check('jobs_state', sql`${job.state} in ('queued', 'running', 'done', 'dead')`),
    check('jobs_due_until_over', sql`(${job.state} in ('queued', 'running')) = (${job.due_at} is not null)`),
  ],
)

/** When a tenant's recurring work is due next. */
export const job_schedules = table(
  'job_schedules',
  {
    tenant_id: tenant_id(),
    name: text().notNull(),
    kind: text().notNull(),
    payload: json().$type<Record<string, unknown>>().notNull(),
    /** Cron expression, in UTC. */
    cron: text().notNull(),
    next_at: timestamp().notNull(),
    updated_at: timestamp().notNull(),
  },
  (schedule) => [
    primaryKey({ name: 'job_schedules_key', columns: [schedule.tenant_id, schedule.name] }),
    index('job_schedules_next').on(schedule.next_at),
  ],
)

/** One line for each request of a known caller, kept for `retention_days`. Its id is made of its time, so it sorts and is found by it. */
export const request_records = table(
  'request_records',
  {
    /**
     * Neither this nor the user is a reference, which would cost nearly as much as the row. Records of a tenant that is
     * gone are refused all the same, by the row in `tenant_days` that is written with them; a trigger deletes those of
     * one that goes.
     */
    tenant_id: uuid().notNull(),
    id: uuid().notNull(),
    user_id: uuid().notNull(),
    method: text().notNull(),
    /** As it is declared (`/api/v1/conversations/:id`), never as it was asked for. */
    route: text().notNull(),
    status: integer().notNull(),
    duration_us: bigint().notNull(),
    created_at: timestamp().notNull(),
  },
  (record) => [primaryKey({ name: 'request_records_key', columns: [record.tenant_id, record.id] })],
)

const day = () => text().notNull() // YYYY-MM-DD, in UTC

const requestCounters = () => ({
  request_count: bigint().notNull().default(0),
  error_count: bigint().notNull().default(0),
  duration_us: bigint().notNull().default(0),
})

/** All requests of a tenant's day; `latency` is a sketch, see analytics/sketch.ts. */
export const tenant_days = table(
  'tenant_days',
  { tenant_id: tenant_id(), day: day(), ...requestCounters(), latency: text().notNull() },
  (row) => [primaryKey({ name: 'tenant_days_key', columns: [row.tenant_id, row.day] })],
)

export const route_days = table(
  'route_days',
  {
    tenant_id: tenant_id(),
    day: day(),
    method: text().notNull(),
    route: text().notNull(),
    ...requestCounters(),
    latency: text().notNull(),
  },
  (row) => [primaryKey({ name: 'route_days_key', columns: [row.tenant_id, row.day, row.method, row.route] })],
)

/** Who was there, so that users are counted exactly over any number of days. */
export const user_days = table(
  'user_days',
  { tenant_id: tenant_id(), day: day(), user_id: uuid().notNull(), ...requestCounters() },
  (row) => [
    primaryKey({ name: 'user_days_key', columns: [row.tenant_id, row.day, row.user_id] }),
    index('user_days_by_user').on(row.tenant_id, row.user_id, row.day),
  ],
)

/**
 * What usage records add up to. Triggers write it, in the transaction of the record. On Postgres there is a row for each
 * `shard` of the connections, or replies to one user that end at the same time would undo each other.
 */
export const usage_days = table(
  'usage_days',
  {
    tenant_id: tenant_id(),
    day: day(),
    user_id: uuid().notNull(),
    model: text().notNull(),
    shard: integer().notNull().default(0),
    reply_count: bigint().notNull(),
    prompt_tokens: bigint().notNull(),
    completion_tokens: bigint().notNull(),
    estimated_tokens: bigint().notNull(),
  },
  (row) => [
    primaryKey({ name: 'usage_days_key', columns: [row.tenant_id, row.day, row.user_id, row.model, row.shard] }),
  ],
)

/** How many messages were stored that day, those of conversations that are gone included; written as `usage_days` is. */
export const message_days = table(
  'message_days',
  { tenant_id: tenant_id(), day: day(), shard: integer().notNull().default(0), message_count: bigint().notNull() },
  (row) => [primaryKey({ name: 'message_days_key', columns: [row.tenant_id, row.day, row.shard] })],
)
/** What a tenant's chats came to in a month, since it has a quota; see quotas/. */
export const quota_months = table(
  'quota_months',
  {
    tenant_id: tenant_id(),
    /** `2026-03`, in UTC. */
    month: text().notNull(),
    /** Tokens of replies that were asked for in this month. */
    used: bigint().notNull(),
    /** Tokens that running replies may come to: the sum over their reservations. */
    reserved: bigint().notNull(),
  },
  (quota) => [
    primaryKey({ name: 'quota_months_key', columns: [quota.tenant_id, quota.month] }),
    check('quota_months_tokens', sql`${quota.used} >= 0 and ${quota.reserved} >= 0`),
  ],
)

/** What one running reply holds of its month's quota. */
export const quota_reservations = table(
  'quota_reservations',
  {
    tenant_id: tenant_id(),
    /** Also the id of the usage record that the reply will leave, so that a crash can be made good. */
    id: uuid().notNull(),
    month: text().notNull(),
    /** 0 where it was given back because nothing was heard of the reply for too long. */
    tokens: bigint().notNull(),
    expires_at: timestamp().notNull(),
  },
  (reservation) => [
    primaryKey({ name: 'quota_reservations_key', columns: [reservation.tenant_id, reservation.id] }),
    index('quota_reservations_expiry').on(reservation.tenant_id, reservation.expires_at),
  ],
)

/** How many chats a tenant began in its latest minute. */
export const request_windows = table('request_windows', {
  tenant_id: tenant_id().primaryKey(),
  starts_at: timestamp().notNull(),
  count: integer().notNull(),
})
