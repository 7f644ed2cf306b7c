import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { isEncoded } from '../analytics/sketch'
import { Message } from '../conversations/schema'
import { isCron } from '../jobs/cron'
import { Metadata } from '../schema'
import { TenantSettings } from '../tenants/schema'

type Form = (value: unknown) => boolean

const as =
  (schema: TSchema): Form =>
  (value) =>
    Value.Check(schema, value)
const latency: Form = (value) => isEncoded(String(value))

const { tool_call, annotations } = Message.properties
const { name, ...settings } = TenantSettings.properties

/** Columns in which a database takes what the service cannot work with, by table and name. */
const forms: Record<string, Record<string, Form>> = {
  tenants: { name: as(name) },
  tenant_settings: Object.fromEntries(Object.entries(settings).map(([column, schema]) => [column, as(schema)])),
  conversations: { metadata: as(Metadata) },
  messages: { tool_call: as(tool_call), annotations: as(annotations) },
  job_schedules: { cron: (value) => isCron(String(value)) },
  tenant_days: { latency },
  route_days: { latency },
}

/** Whether the service could have written this there itself. */
export const hasForm = (table: string, column: string, value: unknown): boolean =>
  forms[table]?.[column]?.(value) ?? true
