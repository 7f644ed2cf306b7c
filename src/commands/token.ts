import { type Role, roles } from '../auth/policy'
import type { Claims } from '../auth/tokens'
import { type Config, readConfig } from '../config'
import { systemClock } from '../ids'
import { type Command, tenantId, UsageError, withDatabase } from './command'

export const tokenCommands: Record<string, Command> = {
  token: {
    about: 'Print a token for a user. Needs JWT_SECRET.',
    options: {
      tenant: { type: 'string', help: 'slug of the tenant', required: true },
      user: { type: 'string', help: 'external id of the user', required: true },
      role: {
        type: 'string',
        help: `${roles.join(', ')}; the lower of this and the stored role counts`,
        default: 'admin',
      },
      ttl: { type: 'string', help: 'seconds, at most a day', default: '3600' },
    },
    run: async ({ tenant, user, role, ttl }) => {
      const { longestLifeSeconds } = await import('../auth/tokens')
      const lifetimeSeconds = /^\d{1,6}$/.test(String(ttl)) ? Number(ttl) : 0
      if (lifetimeSeconds < 1 || lifetimeSeconds > longestLifeSeconds)
        throw new UsageError(`--ttl must be 1 to ${longestLifeSeconds} seconds`)
      const sign = await tokenSigner(readConfig(process.env))
      const claims = { sub: String(user), role: requireRole(role) }
      const tenant_id = await withDatabase(async (database) => {
        const id = await tenantId(database, String(tenant))
        const { requireUser } = await import('../users/store')
        await requireUser(database, id, claims.sub)
        return id
      })
      return await sign({ ...claims, tenant_id }, lifetimeSeconds)
    },
  },
}

export function requireRole(given: unknown): Role {
  const role = roles.find((each) => each === given)
  if (!role) throw new UsageError(`--role must be one of ${roles.join(', ')}`)
  return role
}

export async function tokenSigner(config: Config) {
  const [{ developmentSecret }, { signToken }] = await Promise.all([import('../main'), import('../auth/tokens')])
  const secret = config.jwt.secret ?? developmentSecret(config)
  if (secret === undefined)
    throw new UsageError('JWT_SECRET is not set; tokens of a key set come from whoever holds its keys')
  return (claims: Claims, lifetimeSeconds: number): Promise<string> =>
    signToken(claims, { ...config.jwt, secret }, systemClock, lifetimeSeconds)
}
