import { storeRecords } from '../../src/analytics/rollup'
import type { Role } from '../../src/auth/policy'
import { signToken } from '../../src/auth/tokens'
import { systemClock } from '../../src/ids'
import type { Provider } from '../../src/providers/provider'
import { createUser } from '../../src/users/store'
import { jwtConfig } from '../kit'
import { type OwnService, ownService } from '../own-service'

export const now = new Date('2026-03-02T12:00:00.000Z')

/** What would run if anything here took text for HTML. */
export const script = (name: string) => `<script>alert('${name}')</script>`

/** Every model says the same and reports eleven tokens in, three out. */
const provider: Provider = {
  async *reply() {
    yield { type: 'text', text: 'Four.' }
    yield { type: 'usage', usage: { prompt_tokens: 11, completion_tokens: 3 } }
    yield { type: 'end' }
  },
}

export type World = { service: OwnService; url: string; tokenOf: (role: Role, sub?: string) => Promise<string> }

/**
 * A service that listens, with ten requests in its last ninety days (nine in thirty, five in seven) and 42 tokens of
 * today. What the browser asks for is not counted, so that the numbers stay what they are.
 */
export async function openWorld(): Promise<World> {
  const clock = { now: () => now }
  const service = await ownService(provider, { clock, observers: [] })
  const { deps, operator } = service
  const { body: me } = await operator.get('/api/v1/me')
  const tenant_id: string = me.tenant.id
  const user = (external_id: string, role: Role, display_name?: string) =>
    createUser(deps, tenant_id, {
      external_id,
      role,
      email: `${external_id}@acme.example`,
      display_name: display_name ?? null,
    })
  const admin = await user('ada', 'admin', script('user'))
  await user('vera', 'viewer')

  for (const model of ['large', 'large', script('model')])
    await operator.post('/api/v1/chat', { message: 'Two and two?', model })

  const olivia: string = me.user.id
  const requests = [
    ...visits(3, { user_id: olivia, day: '2026-03-02', route: '/api/v1/conversations', ms: 20 }),
    ...visits(1, { user_id: olivia, day: '2026-03-01', method: 'POST', route: '/api/v1/chat', ms: 1500 }),
    ...visits(1, { user_id: olivia, day: '2026-03-01', method: 'POST', route: '/api/v1/chat', ms: 1500, status: 502 }),
    ...visits(4, { user_id: admin.id, day: '2026-02-05', route: script('route'), ms: 4, status: 404 }),
    ...visits(1, { user_id: admin.id, day: '2026-01-10', route: '/api/v1/me', ms: 4 }),
  ]
  await storeRecords(
    deps.database,
    tenant_id,
    requests.map((request) => ({ ...request, tenant_id })),
  )

  const names: Record<Role, string> = { viewer: 'vera', operator: 'olivia', admin: 'ada' }
  const tokenOf = (role: Role, sub = names[role]) => signToken({ sub, tenant_id, role }, jwtConfig, systemClock, 3600)
  const url = service.listen()
  await fetch(`${url}/api/v1/admin/tenant/settings`, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${await tokenOf('admin')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: script('tenant') }),
  })
  return { service, url, tokenOf }
}

type Visit = { user_id: string; day: string; method?: string; route: string; ms: number; status?: number }

const visits = (times: number, { day, method = 'GET', status = 200, ms, ...visit }: Visit) =>
  Array.from({ length: times }, (_, n) => ({
    ...visit,
    method,
    status,
    duration_us: ms * 1000,
    id: Bun.randomUUIDv7('hex', Date.parse(day)),
    created_at: new Date(Date.parse(day) + n * 1000),
  }))
