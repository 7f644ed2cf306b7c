import { type Static, Type } from '@sinclair/typebox'
import { nullable, shape } from '../schema'

const fields = {
  name: Type.String({ minLength: 1, maxLength: 200 }),
  default_model: nullable(Type.String({ minLength: 1, maxLength: 200 })),
  system_prompt: nullable(
    Type.String({ maxLength: 32_000, description: 'For conversations that have none of their own' }),
  ),
  monthly_token_quota: nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  requests_per_minute: nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  retention_days: nullable(Type.Integer({ minimum: 1, maximum: 36_500 })),
}

export const TenantSettings = shape(fields)
export type TenantSettings = Static<typeof TenantSettings>

export const TenantSettingsChange = Type.Partial(TenantSettings, { additionalProperties: false })
export type TenantSettingsChange = Static<typeof TenantSettingsChange>
