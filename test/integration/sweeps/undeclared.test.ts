import { type AnyElysia, Elysia } from 'elysia'
import { access as accessModule, requirePolicies } from '../../../src/auth/access'
import { deps, describe, expect, test } from '../../kit'

describe('A route without a policy', () => {
  const access = accessModule(deps)
  const answer = () => 'hello'
  const forgetful = () => new Elysia({ prefix: '/inner' }).use(access).get('/open', answer)
  const careful = () => new Elysia({ prefix: '/careful' }).use(access).get('/me', answer, { permission: 'self:read' })

  const forgotten: [string, string, () => AnyElysia][] = [
    ['on its own', 'GET /open', () => new Elysia().use(access).get('/open', answer)],
    ['before the module', 'POST /open', () => new Elysia().post('/open', answer).use(access)],
    ['in a module that comes first', 'GET /inner/open', () => new Elysia().use(forgetful()).use(careful())],
    ['in a module that comes last', 'GET /inner/open', () => new Elysia().use(careful()).use(forgetful())],
    [
      'in a group',
      'PUT /group/open',
      () => new Elysia().use(access).group('/group', (group) => group.put('/open', answer)),
    ],
    [
      'behind a guard with nothing in it',
      'GET /open',
      () => new Elysia().use(access).guard({}, (guarded) => guarded.get('/open', answer)),
    ],
    ['that takes every method', 'ALL /open', () => new Elysia().use(access).all('/open', answer)],
    ['that opens a socket', 'WS /open', () => new Elysia().use(access).ws('/open', { message: () => {} })],
  ]
  test.each(forgotten)('%s stops the build and is named', (_, key, build) => {
    const built = build()

    expect(() => requirePolicies(built)).toThrow(
      `No policy declared for ${key}: add { permission: '...' } from auth/policy.ts, or { public: true }.`,
    )
    expect(() => requirePolicies(careful())).not.toThrow()
  })

  test('is named with all the others', () => {
    const built = new Elysia().get('/one', answer).use(careful()).delete('/two', answer)

    expect(() => requirePolicies(built)).toThrow('No policy declared for GET /one, DELETE /two: ')
  })

  test('does not stop the build when it says that it is public', () => {
    const built = new Elysia().use(access).get('/open', answer, { public: true })

    expect(() => requirePolicies(built)).not.toThrow()
  })
})
