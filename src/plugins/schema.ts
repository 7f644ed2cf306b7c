import { type Static, Type } from '@sinclair/typebox'
import { PathPart, shape, Timestamp } from '../schema'

/** Any object here: what fits is said by the plugin's own schema. */
export const PluginConfig = Type.Record(Type.String({ pattern: '^[\\s\\S]{0,128}$' }), Type.Unknown(), {
  additionalProperties: false,
  description:
    "As the plugin's config_schema says. Secrets (writeOnly) are answered as ********, and kept where ******** is sent; one that the plugin made is shown in the answer to the request that caused it, and never again.",
})

export const PluginPath = Type.Object({ name: PathPart })

export const Enabling = shape({ config: Type.Optional(PluginConfig) })
export type Enabling = Static<typeof Enabling>

const state = {
  name: Type.String(),
  version: Type.String(),
  description: Type.String(),
  enabled: Type.Boolean(),
  configured: Type.Boolean({ description: 'Whether it can be enabled without sending a config' }),
  config_schema: Type.Record(Type.String(), Type.Unknown(), { description: 'JSON Schema' }),
  last_failure: Type.Optional(
    shape(
      { at: Timestamp, message: Type.String(), count: Type.Integer({ minimum: 1 }) },
      { description: 'Since it was last enabled or configured' },
    ),
  ),
}
export const PluginState = shape(state)
export type PluginState = Static<typeof PluginState>

export const EnabledPlugin = shape({
  ...state,
  generated: Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: 'Secrets that the plugin made, shown this once' }),
  ),
})
export type EnabledPlugin = Static<typeof EnabledPlugin>
