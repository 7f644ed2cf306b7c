import { describe, expect, test } from 'bun:test'
import { lesser, may, permissionsOf, type Role, roles } from '../../src/auth/policy'

const table = {
  'self:read': ['viewer', 'operator', 'admin'],
  'conversation:read': ['viewer', 'operator', 'admin'],
  'plugin:read': ['viewer', 'operator', 'admin'],
  'analytics:read': ['viewer', 'operator', 'admin'],
  'conversation:write': ['operator', 'admin'],
  'chat:write': ['operator', 'admin'],
  'analytics:export': ['operator', 'admin'],
  'conversation:delete': ['admin'],
  'user:manage': ['admin'],
  'tenant:manage': ['admin'],
  'plugin:manage': ['admin'],
  'analytics:users': ['admin'],
  'audit:read': ['admin'],
  'job:manage': ['admin'],
} as const
const permissions = Object.keys(table) as (keyof typeof table)[]

describe('Permissions', () => {
  test.each(permissions)('%s belongs to exactly these roles', (permission) => {
    const allowed = roles.filter((role) => may(role, permission))

    expect(allowed).toEqual([...table[permission]])
  })

  test.each([...roles])('of %s are all in the table, each once', (role) => {
    const listed = permissionsOf(role)

    expect(listed).toEqual(permissions.filter((permission) => table[permission].some((each) => each === role)))
  })
})

describe('The lesser of two roles', () => {
  const pairs: [Role, Role, Role][] = [
    ['viewer', 'viewer', 'viewer'],
    ['viewer', 'operator', 'viewer'],
    ['viewer', 'admin', 'viewer'],
    ['operator', 'operator', 'operator'],
    ['operator', 'admin', 'operator'],
    ['admin', 'admin', 'admin'],
  ]
  test.each(pairs)('%s and %s is %s, in either order', (one, other, expected) => {
    const both = [lesser(one, other), lesser(other, one)]

    expect(both).toEqual([expected, expected])
  })
})
