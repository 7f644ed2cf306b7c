import { Value } from '@sinclair/typebox/value'
import type { FieldError } from '../errors'
import { fieldErrors } from '../problem'
import type { Sealer } from '../sealing'
import { isSecret, type Plugin } from './plugin'

/** What a tenant configured, whole: as the plugin's schema describes it, with its secrets in the clear. */
export type Config = Record<string, unknown>

/** The same as it is stored. */
export type StoredConfig = { config: Config | null; sealed_secrets: string | null }

/** What is shown in place of a secret, and means the stored one where it is sent. */
export const mask = '********'

export const secretsOf = (plugin: Plugin): string[] =>
  Object.entries(plugin.config.properties).flatMap(([name, schema]) => (isSecret(schema) ? [name] : []))

/** What a config has to be as a tenant sends it, without what only TypeBox and this process know. */
export function schemaToSend({ config: { required, ...schema } }: Plugin): Config {
  const needed = required?.filter((name) => schema.properties[name]?.generate === undefined)
  return JSON.parse(JSON.stringify({ ...schema, required: needed }))
}

/** Puts together what is stored. Throws SealError where the secrets do not open. */
export function openConfig(sealer: Sealer, owner: readonly string[], { config, sealed_secrets }: StoredConfig): Config {
  const secrets: Config = sealed_secrets === null ? {} : JSON.parse(sealer.open(sealed_secrets, owner))
  return { ...config, ...secrets }
}

/** Takes apart what is to be stored. Throws conflict where there are secrets and no key to seal them. */
export function sealConfig(sealer: Sealer, owner: readonly string[], plugin: Plugin, config: Config) {
  const names = secretsOf(plugin)
  const [secrets, plain] = [
    Object.entries(config).filter(([name]) => names.includes(name)),
    Object.entries(config).filter(([name]) => !names.includes(name)),
  ]
  const sealed_secrets = secrets.length === 0 ? null : sealer.seal(JSON.stringify(Object.fromEntries(secrets)), owner)
  return {
    config: Object.fromEntries(plain),
    sealed_secrets,
    key_id: sealed_secrets === null ? null : (sealer.keyId ?? null),
  }
}

export const maskSecrets = (plugin: Plugin, config: Config): Config => {
  const names = secretsOf(plugin)
  return Object.fromEntries(Object.entries(config).map(([name, value]) => [name, names.includes(name) ? mask : value]))
}

/** What is wrong with a config, where in the body (below `under`), without any of its values. Empty where nothing is. */
export function configErrors(plugin: Plugin, config: Config, under = ''): FieldError[] {
  const errors = fieldErrors(Value.Errors(plugin.config, config), 'body', under)
  if (errors.length > 0) return errors
  try {
    const wrong = plugin.check?.(config)
    return wrong ? [{ in: 'body', path: under + wrong.path, message: wrong.message }] : []
  } catch {
    // The plugin's own mistake, whose words may hold anything.
    return [{ in: 'body', path: under, message: 'cannot be checked by the plugin' }]
  }
}
