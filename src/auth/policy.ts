/** Roles from the least to the most: each may do all that the ones before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

/** Who may do what, all of it. A route names one of these, or declares itself public; else the app does not build. */
const granted = {
  viewer: ['self:read', 'conversation:read', 'plugin:read', 'analytics:read'],
  operator: ['conversation:write', 'chat:write', 'analytics:export'],
  admin: [
    'conversation:delete',
    'user:manage',
    'tenant:manage',
    'plugin:manage',
    'analytics:users',
    'audit:read',
    'job:manage',
  ],
} as const satisfies Record<Role, readonly string[]>

export type Permission = (typeof granted)[Role][number]

export const permissionsOf = (role: Role): Permission[] =>
  roles.slice(0, roles.indexOf(role) + 1).flatMap((each): readonly Permission[] => granted[each])

const permissions: Record<Role, ReadonlySet<Permission>> = {
  viewer: new Set(permissionsOf('viewer')),
  operator: new Set(permissionsOf('operator')),
  admin: new Set(permissionsOf('admin')),
}

export const may = (role: Role, permission: Permission): boolean => permissions[role].has(permission)

/** The lesser of two roles: a token never gives more than the database does, nor the other way round. */
export const lesser = (one: Role, other: Role): Role => (roles.indexOf(one) < roles.indexOf(other) ? one : other)
