import type { TSchema } from '@sinclair/typebox'
import { isSecret, type Plugin } from './plugin'

/** Throws, and so stops the program from starting, where a plugin of the registry would not be safe or not be found. */
export function requirePlugins(plugins: readonly Plugin[]): void {
  const tools = plugins.flatMap((plugin) => (plugin.tools ?? []).map(({ name }) => name))
  const wrong = [
    ...plugins.flatMap((plugin) => defectsOf(plugin).map((defect) => `The plugin "${plugin.name}" ${defect}.`)),
    ...repeated(plugins.map(({ name }) => name)).map((name) => `There is more than one plugin "${name}".`),
    ...repeated(tools).map((name) => `There is more than one tool "${name}".`),
  ]
  if (wrong.length > 0) throw new Error(wrong.join('\n'))
}

function defectsOf({ name, config, tools = [] }: Plugin): string[] {
  const nested = Object.entries(config.properties).filter(([, schema]) => inside(schema).some(hasSecret))
  return [
    ...(/^[a-z][a-z0-9_]{0,62}$/.test(name) ? [] : ['needs a name in snake_case of at most 63 characters']),
    ...(config.additionalProperties === false ? [] : ['needs a config that is closed (shape)']),
    ...nested.map(([field]) => `has a secret inside of "${field}", where it would be stored as it is`),
    ...tools
      .filter((tool) => !/^[A-Za-z0-9_]{1,64}$/.test(tool.name))
      .map((tool) => `has a tool "${tool.name}", whose name needs to be 1 to 64 letters, digits and underscores`),
  ]
}

const hasSecret = (schema: TSchema): boolean => isSecret(schema) || inside(schema).some(hasSecret)

/** The schemas that a schema is made of, whatever the keywords that hold them. */
function inside(value: object): TSchema[] {
  return Object.values(value).filter((each): each is TSchema => typeof each === 'object' && each !== null)
}

const repeated = (names: readonly string[]): string[] => [
  ...new Set(names.filter((name, at) => names.indexOf(name) !== at)),
]
