import { Type } from '@sinclair/typebox'
import { address, plugin, secret } from '../src/plugins/plugin'
import { oneOf, shape } from '../src/schema'

/** Has all that a config can have. */
export const courier = plugin({
  name: 'test_courier',
  version: '1.2.0',
  description: 'Brings what happened to an address.',
  config: shape({
    url: address(Type.String({ minLength: 1, maxLength: 2000 })),
    colour: Type.Optional(oneOf('red', 'green')),
    options: Type.Optional(Type.Record(Type.String({ pattern: '^[^]{0,64}$' }), Type.Unknown())),
    token: Type.Optional(secret({ minLength: 8 })),
    password: Type.Optional(secret()),
    signing_key: Type.Optional(secret({ generate: () => `made-${crypto.randomUUID()}` })),
  }),
  check: ({ url }) => (url.startsWith('http') ? undefined : { path: '/url', message: 'must begin with http' }),
})

/** Can be switched on as it is. */
export const greeter = plugin({
  name: 'test_greeter',
  version: '0.1.0',
  description: 'Greets.',
  config: shape({ greeting: Type.Optional(Type.String({ maxLength: 100 })) }),
})

/** For the default app, so that every route of plugins has something to work on. */
export const testPlugins = [courier, greeter]
