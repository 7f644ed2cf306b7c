import { buildApp } from '../../src/app'
import { signToken, tokenVerifier } from '../../src/auth/tokens'
import { asTenant } from '../../src/database/reach'
import { Scope } from '../../src/database/session'
import { systemClock } from '../../src/ids'
import { createTenant } from '../../src/tenants/store'
import { client } from '../../src/testing/client'
import { Held } from '../../src/testing/held'
import { createUser } from '../../src/users/store'
import { deps, jwtConfig } from '../../test/kit'
import { ownDatabase } from '../../test/own-database'

/**
 * The floor under what the kit can reach: the service itself answers the same three requests, in a transaction that is
 * rolled back, without sandbox, ledger, lints, script and clock. Resolves to what does it once.
 */
export async function alone(): Promise<() => Promise<void>> {
  const { database, ping, root } = await ownDatabase()
  const app = buildApp({
    ...deps,
    database,
    ping,
    clock: systemClock,
    stopwatch: () => performance.now(),
    verifyToken: tokenVerifier(jwtConfig, systemClock, deps.egress),
    provider: {
      async *reply() {
        yield { type: 'text', text: 'Hello there' }
        yield { type: 'usage', usage: { prompt_tokens: 3, completion_tokens: 2 } }
        yield { type: 'end' }
      },
    },
  })
  const at = { database, clock: systemClock }
  const tenant_id = await createTenant(at, { slug: 'acme', name: 'Acme' })
  const user = { external_id: 'ada', role: 'admin', email: 'ada@acme.example' } as const
  await asTenant(tenant_id, () => createUser(at, tenant_id, user))
  const token = await signToken({ sub: 'ada', tenant_id, role: 'admin' }, jwtConfig, systemClock, 3600)
  const admin = client(
    (request) => app.handle(request),
    () => ({ authorization: `Bearer ${token}` }),
  )

  const flow = async () => {
    const created = await admin.post('/api/v1/conversations', { title: 'Q3 planning' })
    const reply = await admin.post('/api/v1/chat', { message: 'Hello', conversation_id: created.body.id })
    const list = await admin.get('/api/v1/conversations')
    const statuses = [created.status, reply.status, list.status]
    if (String(statuses) !== '201,200,200') throw new Error(`It answered ${statuses}.`)
  }
  return async () => {
    const held = await Held.open(root.session)
    await new Scope(held.session).enter(flow)
    await held.rollback()
  }
}
