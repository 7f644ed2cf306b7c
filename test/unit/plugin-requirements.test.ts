import { describe, expect, test } from 'bun:test'
import { type TObject, Type } from '@sinclair/typebox'
import { address, type Plugin, plugin, secret, tool } from '../../src/plugins/plugin'
import { plugins } from '../../src/plugins/registry'
import { requirePlugins } from '../../src/plugins/requirements'
import { nullable, shape } from '../../src/schema'
import { testPlugins } from '../plugins'

const named = (name: string, config: TObject = shape({}), tools: string[] = []): Plugin =>
  plugin({ name, version: '1.0.0', description: 'Does nothing.', config, tools: tools.map(toolNamed) })

const toolNamed = (name: string) =>
  tool({ name, description: 'Does nothing.', parameters: shape({}), deadlineMs: 100, run: () => '' })

const nested = (field: string) => `The plugin "a" has a secret inside of "${field}", where it would be stored as it is.`

describe('The registry', () => {
  test('of the service is as it has to be, with the plugins of the tests', () => {
    const requiring = () => requirePlugins([...plugins, ...testPlugins])

    expect(requiring).not.toThrow()
  })

  test('takes top-level secrets and addresses, optional ones, and tools', () => {
    const config = shape({
      a: secret(),
      b: Type.Optional(secret()),
      c: address(secret()),
      d: Type.Optional(address(Type.String())),
    })

    const requiring = () => requirePlugins([named('a', config, ['add', 'Sub_2']), named('b', shape({}), ['mul'])])

    expect(requiring).not.toThrow()
  })

  const refused: [string, Plugin[], string][] = [
    ['two plugins of one name', [named('a'), named('b'), named('a')], 'There is more than one plugin "a".'],
    [
      'two tools of one name, of different plugins',
      [named('a', shape({}), ['add']), named('b', shape({}), ['add'])],
      'There is more than one tool "add".',
    ],
    ['an open config', [named('a', Type.Object({}))], 'The plugin "a" needs a config that is closed (shape).'],
    [
      'a config that is open to some',
      [named('a', Type.Object({}, { additionalProperties: Type.String() }))],
      'The plugin "a" needs a config that is closed (shape).',
    ],
    ['a secret in an object', [named('a', shape({ smtp: shape({ password: secret() }) }))], nested('smtp')],
    ['a secret in a list', [named('a', shape({ keys: Type.Array(secret()) }))], nested('keys')],
    ['a secret in a record', [named('a', shape({ keys: Type.Record(Type.String(), secret()) }))], nested('keys')],
    ['a secret that may be null', [named('a', shape({ key: nullable(secret()) }))], nested('key')],
    [
      'a secret deep inside',
      [named('a', shape({ x: Type.Optional(Type.Array(shape({ y: shape({ z: secret() }) }))) }))],
      nested('x'),
    ],
    ...['', 'A', 'a-b', 'a b', '1a', '__proto__', 'a'.repeat(64), 'a\n'].map((name): [string, Plugin[], string] => [
      `a plugin called ${JSON.stringify(name)}`,
      [named(name)],
      `The plugin "${name}" needs a name in snake_case of at most 63 characters.`,
    ]),
    ...['', 'add-up', 'add up', 'a'.repeat(65), 'größe'].map((name): [string, Plugin[], string] => [
      `a tool called ${JSON.stringify(name)}`,
      [named('a', shape({}), [name])],
      `The plugin "a" has a tool "${name}", whose name needs to be 1 to 64 letters, digits and underscores.`,
    ]),
  ]
  test.each(refused)('is refused with %s', (_, registry, reason) => {
    const requiring = () => requirePlugins(registry)

    expect(requiring).toThrow(new Error(reason))
  })

  test('is told all that is wrong at once', () => {
    const requiring = () => requirePlugins([named('A'), named('b', Type.Object({}))])

    expect(requiring).toThrow(
      new Error(
        'The plugin "A" needs a name in snake_case of at most 63 characters.\nThe plugin "b" needs a config that is closed (shape).',
      ),
    )
  })
})
