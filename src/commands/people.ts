import { roles } from '../auth/policy'
import { systemClock } from '../ids'
import { type Command, tenantId, UsageError, withDatabase } from './command'
import { requireRole } from './token'

export const peopleCommands: Record<string, Command> = {
  'tenant create': {
    about: 'Create a tenant and print its id.',
    options: {
      name: { type: 'string', help: 'as people read it', required: true },
      slug: { type: 'string', help: 'as commands name it', required: true },
    },
    run: async ({ name, slug }) => {
      const { createTenant } = await import('../tenants/store')
      const tenant = { name: String(name), slug: String(slug) }
      return await withDatabase((database) => createTenant({ database, clock: systemClock }, tenant))
    },
  },
  'user create': {
    about: 'Create a user of a tenant and print its id.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant', required: true },
      'external-id': { type: 'string', help: 'what tokens say as sub', required: true },
      email: { type: 'string', help: 'address', required: true },
      role: { type: 'string', help: roles.join(', '), required: true },
    },
    run: async (given) => {
      const user = {
        external_id: String(given['external-id']),
        email: String(given.email),
        role: requireRole(given.role),
      }
      const [{ Value }, { NewUser }, { createUser }] = await Promise.all([
        import('@sinclair/typebox/value'),
        import('../users/schema'),
        import('../users/store'),
      ])
      const wrong = Value.Errors(NewUser, user).First()?.path.slice(1).replace('_', '-')
      if (wrong !== undefined) throw new UsageError(`--${wrong} is not valid`)
      return await withDatabase(async (database) => {
        const tenant = await tenantId(database, String(given.tenant))
        return (await createUser({ database, clock: systemClock }, tenant, user)).id
      })
    },
  },
}
