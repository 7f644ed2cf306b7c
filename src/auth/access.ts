import { type AnyElysia, type DocumentDecoration, Elysia } from 'elysia'
import { about } from '../about'
import { readJson } from '../body'
import type { Database } from '../database/database'
import { admitTenant, asNobody } from '../database/reach'
import { forbidden, unauthenticated } from '../errors'
import { may, type Permission } from './policy'
import { type Principal, requirePrincipal } from './principal'
import type { VerifyToken } from './tokens'

/** What the hooks below see of Elysia's context. They name it: for a hook that takes all, Elysia parses cookies and more. */
type Entering = { request: Request; contentType?: string }

/**
 * How a route says who may call it: `{ permission: 'conversation:read' }` or `{ public: true }`.
 * First who, then what: the caller is let in before the body is read and before anything is validated,
 * so that strangers learn nothing of schemas.
 */
export function access({ database, verifyToken }: { database: Database; verifyToken: VerifyToken }) {
  const admit = async (request: Request, permission: Permission): Promise<void> => {
    if (admitted.has(request)) return // parse let it in already
    const claims = await verifyToken(bearerToken(request))
    if (!claims)
      throw unauthenticated('The token is not valid, or not any more; get a new one.', {
        'www-authenticate': 'Bearer error="invalid_token"',
      })
    admitTenant(claims.tenant_id)
    const principal = await requirePrincipal(database, claims)
    about(request).caller = principal
    if (!may(principal.role, permission))
      throw forbidden(`This needs the permission ${permission}, which the role ${principal.role} does not have.`)
    admitted.set(request, principal)
  }

  const perRequest: Wrap =
    (next) =>
    (...args) =>
      asNobody(() => next(...args))
  return new Elysia({ name: 'access' }).wrap(perRequest).macro({
    permission: (permission: Permission) => ({
      detail: { [declared]: permission, security: [{ bearer: [] }] } as DocumentDecoration,
      // Elysia reads bodies before `transform`, so where there may be one, this is the first of our code to run.
      // 'json' behind it would run on undefined, and refuse what has no body, so that is null here;
      // it only says in the OpenAPI document what bodies are.
      parse: [
        async ({ request, contentType }: Entering) => {
          await admit(request, permission)
          return (await readJson(request, contentType ?? '')) ?? null
        },
        'json' as never,
      ],
      transform: ({ request }: Entering) => admit(request, permission),
      resolve: ({ request }: Entering) => ({ principal: principalOf(request) }),
    }),
    public: (_: true) => ({
      detail: { [declared]: 'public' } as DocumentDecoration,
    }),
  })
}

type Wrap = (next: (...args: unknown[]) => unknown) => (...args: unknown[]) => unknown

/** Who may do what they ask for. Handlers have their principal from here, and from nowhere else. */
const admitted = new WeakMap<Request, Principal>()

const declared = 'x-permission'

/** The permission that a route declared, `public`, or undefined where its author forgot. */
export function policyOf(route: { hooks: { detail?: DocumentDecoration } }): Permission | 'public' | undefined {
  const detail: Record<string, unknown> = { ...route.hooks.detail }
  return detail[declared] as Permission | 'public' | undefined
}

/** Default deny: throws, and so stops the program from starting, when a route says nothing of who may call it. */
export function requirePolicies(app: AnyElysia): void {
  // Preflights of @elysiajs/cors carry no credentials and reach no handler.
  const open = app.routes.filter((route) => route.method !== 'OPTIONS' && policyOf(route) === undefined)
  if (open.length === 0) return
  const list = open.map(({ method, path }) => `${method} ${path}`).join(', ')
  throw new Error(`No policy declared for ${list}: add { permission: '...' } from auth/policy.ts, or { public: true }.`)
}

/** What the request says as its bearer token; throws unauthenticated where it says none. */
export function bearerToken(request: Request): string {
  const header = request.headers.get('authorization')
  const token = header === null ? undefined : /^Bearer +([^\s,]+) *$/i.exec(header)?.[1]
  if (token === undefined)
    throw unauthenticated('Send the header Authorization: Bearer <token>.', { 'www-authenticate': 'Bearer' })
  return token
}

function principalOf(request: Request): Principal {
  const principal = admitted.get(request)
  if (!principal) throw new Error('A handler was reached without a principal: the access hooks did not run.')
  return principal
}
