import { type Static, Type } from '@sinclair/typebox'
import { nullable, shape } from '../schema'

const Price = Type.Integer({
  minimum: 0,
  maximum: 1_000_000_000_000,
  description: 'Millionths of a currency unit for a million tokens: 3 dollars are 3000000',
})

export const longestName = 200

const fields = {
  name: Type.String({ minLength: 1, maxLength: longestName }),
  default_model: nullable(Type.String({ minLength: 1, maxLength: 200 })),
  system_prompt: nullable(
    Type.String({ maxLength: 32_000, description: 'For conversations that have none of their own' }),
  ),
  monthly_token_quota: nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  requests_per_minute: nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  retention_days: nullable(Type.Integer({ minimum: 1, maximum: 36_500 })),
  prices: Type.Record(
    Type.String({ pattern: '^[\\s\\S]{1,200}$' }),
    shape({ prompt_micros_per_million_tokens: Price, completion_micros_per_million_tokens: Price }),
    { additionalProperties: false, maxProperties: 1000, description: 'What tokens cost, by model' },
  ),
}

export const TenantSettings = shape(fields)
export type TenantSettings = Static<typeof TenantSettings>

export const TenantSettingsChange = Type.Partial(TenantSettings, { additionalProperties: false })
export type TenantSettingsChange = Static<typeof TenantSettingsChange>
