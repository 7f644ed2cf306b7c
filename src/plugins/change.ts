import { type FieldError, invalid } from '../errors'
import { type Config, configErrors, mask, secretsOf } from './config'
import { isAddress, type Plugin } from './plugin'

/** What a tenant sent: all of a config, or what changes in it (RFC 7386); and where in the body it stands. */
export type Given = { readonly config: Config; readonly how: 'replace' | 'merge'; readonly under?: string }

/** `generated`: the secrets that the plugin made, to be shown this once. */
export type Changed = { readonly config: Config; readonly generated: Record<string, string> }

const largestConfig = 64 * 1024

/**
 * The config that comes of what is stored and what was sent. A masked secret means the stored one, unless an address
 * changes: whoever may set where secrets go, but not read them, could otherwise have them sent to himself.
 * Throws invalid.
 */
export function changeConfig(plugin: Plugin, before: Config, { config: given, how, under = '' }: Given): Changed {
  const secrets = secretsOf(plugin)
  const masked = secrets.filter((name) => given[name] === mask)
  refuse(
    masked.filter((name) => before[name] === undefined),
    under,
    'is not stored; send the secret itself',
  )
  const said = without(given, masked)
  const config = how === 'merge' ? merge(before, said) : { ...said, ...only(before, masked) }
  const kept = secrets.filter((name) => config[name] !== undefined && !Object.hasOwn(said, name))

  const generated: Record<string, string> = {}
  for (const name of secrets) {
    const generate: unknown = plugin.config.properties[name]?.generate
    if (config[name] === undefined && typeof generate === 'function') generated[name] = String(generate())
  }
  Object.assign(config, generated)

  if (Buffer.byteLength(JSON.stringify(config)) > largestConfig)
    throw invalid([{ in: 'body', path: under, message: `must have at most ${largestConfig} bytes as JSON` }])
  const errors = configErrors(plugin, config, under)
  if (errors.length > 0) throw invalid(errors)

  const moved = addressesOf(plugin).filter((name) => !Bun.deepEquals(before[name], config[name], true))
  if (moved.length > 0) refuse(kept, under, `has to be sent again, because ${moved.join(', ')} changes`)
  return { config, generated }
}

/** RFC 7386. What comes of it has only own properties, whatever their names. */
function merge(target: unknown, patch: Config): Config {
  const merged = new Map(isObject(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else merged.set(name, isObject(value) ? merge(merged.get(name), value) : value)
  }
  return Object.fromEntries(merged)
}

const isObject = (value: unknown): value is Config =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const addressesOf = (plugin: Plugin): string[] =>
  Object.entries(plugin.config.properties).flatMap(([name, schema]) => (isAddress(schema) ? [name] : []))

const only = (config: Config, names: readonly string[]): Config =>
  Object.fromEntries(Object.entries(config).filter(([name]) => names.includes(name)))
const without = (config: Config, names: readonly string[]): Config =>
  Object.fromEntries(Object.entries(config).filter(([name]) => !names.includes(name)))

function refuse(names: readonly string[], under: string, message: string): void {
  if (names.length === 0) return
  throw invalid(names.map((name): FieldError => ({ in: 'body', path: `${under}/${name}`, message })))
}
