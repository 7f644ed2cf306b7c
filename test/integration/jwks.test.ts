import { setSystemTime } from 'bun:test'
import { openEgress } from '../../src/egress/open'
import type { ManualClock } from '../../src/testing'
import { deps, describe, expect, test } from '../kit'
import { clientsOf, ecKey, issuerOf, rsaKey, signedBy } from './key-set'
import { bearer, claimsOf, invalidToken } from './token'

// Made anew for each use: toMatchObject of Bun 1.4.5 looks only once at an object that it meets twice.
const withoutKeys = () => ({
  status: 503,
  headers: { 'content-type': 'application/problem+json', 'retry-after': '5' },
  body: {
    code: 'internal',
    status: 503,
    detail: 'The keys that tokens are signed with cannot be fetched; try again shortly.',
  },
})

const rsa = rsaKey('rsa-1')
const later = rsaKey('rsa-2')
const ec = ecKey('ec-1')
const nameless = { ...rsa, kid: undefined }

describe('A key set', () => {
  const good: [string, (claims: Record<string, unknown>) => string][] = [
    ['RS256', (claims) => signedBy(rsa, 'RS256', claims)],
    ['ES256', (claims) => signedBy(ec, 'ES256', claims)],
    ['RS256 without kid, where one key fits', (claims) => signedBy(nameless, 'RS256', claims)],
  ]
  test.each(good)('lets %s in, with and without a secret beside it', async (_, sign, { users }) => {
    await using issuer = issuerOf(rsa, ec)
    const { keysOnly, both } = clientsOf(issuer.url)
    const token = sign(claimsOf(users.operatorA))

    const responses = await Promise.all([keysOnly, both].map((each) => each.get('/api/v1/me', bearer(token))))

    const answers = responses.map(({ status, body: { role, user } }) => [status, role, user.id])
    expect(answers).toEqual([
      [200, 'operator', users.operatorA.id],
      [200, 'operator', users.operatorA.id],
    ])
  })

  test('is fetched once for twenty requests at once', async ({ users }) => {
    await using issuer = issuerOf(rsa)
    const { keysOnly } = clientsOf(issuer.url)
    const token = signedBy(rsa, 'RS256', claimsOf(users.viewerA))

    const responses = await Promise.all(Array.from({ length: 20 }, () => keysOnly.get('/api/v1/me', bearer(token))))

    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    expect(issuer.fetches()).toBe(1)
  })

  test('leaves the claims to be checked', async ({ users }) => {
    await using issuer = issuerOf(rsa)
    const { keysOnly } = clientsOf(issuer.url)
    const claims = claimsOf(users.viewerA)
    const changes = [{ aud: 'billing' }, { exp: claims.iat - 60 }, { role: 'ADMIN' }, { tenant_id: '' }, { sub: '' }]

    const responses = await Promise.all(
      changes.map((change) => keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', { ...claims, ...change })))),
    )

    expect(responses).toMatchObject(changes.map(() => invalidToken()))
    expect(await keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', claims)))).toMatchObject({ status: 200 })
  })
})

// Serial: the library that keeps the keys asks the clock of the process.
describe.serial('A change of keys', () => {
  test('is noticed by the first token of a new key', async ({ users, clock }) => {
    await using issuer = issuerOf(rsa)
    using time = moving(clock)
    const { keysOnly } = clientsOf(issuer.url)
    await keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', claimsOf(users.viewerA))))
    issuer.publish(rsa, later)
    time.pass({ seconds: 30 })

    const response = await keysOnly.get('/api/v1/me', bearer(signedBy(later, 'RS256', claimsOf(users.viewerA))))

    expect(response).toMatchObject({ status: 200 })
    expect(issuer.fetches()).toBe(2)
  })

  test('is noticed although the clock was set back by a day since the keys were fetched', async ({ users, clock }) => {
    await using issuer = issuerOf(rsa)
    clock.advance({ days: 1 })
    using time = moving(clock)
    const { keysOnly } = clientsOf(issuer.url)
    const old = () => keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', claimsOf(users.viewerA))))
    const young = () => keysOnly.get('/api/v1/me', bearer(signedBy(later, 'RS256', claimsOf(users.viewerA))))
    await keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', claimsOf(users.viewerA))))
    issuer.publish(later)
    time.pass({ days: -1 })

    const responses = [await young(), await old()]

    expect(responses).toMatchObject([{ status: 200 }, invalidToken()])
    expect(issuer.fetches()).toBe(2)
  })

  test('is looked for once in 30 s, however many unknown keys are named', async ({ users, clock }) => {
    await using issuer = issuerOf(rsa)
    using time = moving(clock)
    const { keysOnly } = clientsOf(issuer.url)
    const claims = claimsOf(users.viewerA)
    const asking = (kid: string) => keysOnly.get('/api/v1/me', bearer(signedBy({ ...later, kid }, 'RS256', claims)))
    await keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', claims)))
    time.pass({ seconds: 30 })

    const atOnce = await Promise.all(Array.from({ length: 20 }, (_, n) => asking(`unknown-${n}`)))
    time.pass({ seconds: 29 })
    const again = await asking('unknown-20')
    const fetchesWithin = issuer.fetches()
    time.pass({ seconds: 1 })
    const muchLater = await asking('unknown-21')

    expect(atOnce).toMatchObject(Array.from({ length: 20 }, () => invalidToken()))
    expect([again, muchLater]).toMatchObject([invalidToken(), invalidToken()])
    expect([fetchesWithin, issuer.fetches()]).toEqual([2, 3])
  })

  test('refuses tokens of a removed key 60 s after it was noticed', async ({ users, clock }) => {
    await using issuer = issuerOf(rsa)
    using time = moving(clock)
    const { keysOnly } = clientsOf(issuer.url)
    const old = signedBy(rsa, 'RS256', claimsOf(users.viewerA))
    const young = signedBy(later, 'RS256', claimsOf(users.viewerA))
    time.pass({ seconds: 30 })
    expect(await keysOnly.get('/api/v1/me', bearer(old))).toMatchObject({ status: 200 })
    issuer.publish(later)
    time.pass({ seconds: 30 })
    expect(await keysOnly.get('/api/v1/me', bearer(young))).toMatchObject({ status: 200 })
    time.pass({ seconds: 60 })

    const responses = [await keysOnly.get('/api/v1/me', bearer(old)), await keysOnly.get('/api/v1/me', bearer(young))]

    expect(responses).toMatchObject([invalidToken(), { status: 200 }])
  })

  test('refuses tokens of a removed key after ten minutes when nothing else was asked', async ({ users, clock }) => {
    await using issuer = issuerOf(rsa)
    using time = moving(clock)
    const { keysOnly } = clientsOf(issuer.url)
    const token = signedBy(rsa, 'RS256', claimsOf(users.viewerA))
    expect(await keysOnly.get('/api/v1/me', bearer(token))).toMatchObject({ status: 200 })
    issuer.publish(later)
    time.pass({ minutes: 10 })

    const response = await keysOnly.get('/api/v1/me', bearer(token))

    expect(response).toMatchObject(invalidToken())
  })
})

describe.serial('Without its key set', () => {
  test('the service goes on with the keys it has, for ten minutes', async ({ users, clock }) => {
    await using issuer = issuerOf(rsa)
    using time = moving(clock)
    const { keysOnly } = clientsOf(issuer.url)
    const asking = (sub: string) =>
      keysOnly.get('/api/v1/me', bearer(signedBy(rsa, 'RS256', { ...claimsOf(users.viewerA), sub })))
    await asking('vera')
    issuer.answer(() => new Response('down', { status: 500 }))

    time.pass({ minutes: 9, seconds: 59 })
    const before = await asking('olivia')
    time.pass({ seconds: 1 })
    const after = await asking('ada')

    expect(before).toMatchObject({ status: 200 })
    expect(after).toMatchObject(withoutKeys())
  })

  const failures: [string, () => Response][] = [
    ['is an error', () => new Response('down', { status: 500 })],
    ['is not there', () => new Response('', { status: 404 })],
    ['is a page', () => new Response('<!doctype html>', { headers: { 'content-type': 'text/html' } })],
    ['is nothing', () => new Response()],
    ['is JSON without keys', () => Response.json({ error: 'maintenance' })],
    ['is a list', () => Response.json([])],
    ['is somewhere else', () => Response.redirect('/other.json')],
  ]
  test.each(failures)('that %s, nobody is told that the token is bad', async (_, answer, { users, clock }) => {
    await using issuer = issuerOf(rsa)
    using time = moving(clock)
    const { keysOnly } = clientsOf(issuer.url)
    const token = signedBy(rsa, 'RS256', claimsOf(users.viewerA))
    issuer.answer(answer)

    const response = await keysOnly.get('/api/v1/me', bearer(token))

    expect(response).toMatchObject(withoutKeys())
    expect(response.headers).not.toHaveProperty('www-authenticate')
    expect(JSON.stringify(response)).not.toContain(new URL(issuer.url).host)
    issuer.publish(rsa)
    time.pass({ seconds: 5 })
    expect(await keysOnly.get('/api/v1/me', bearer(token))).toMatchObject({ status: 200 })
  })

  test('because nobody listens there, the answer is the same', async ({ users }) => {
    const issuer = issuerOf(rsa)
    const { keysOnly, both } = clientsOf(issuer.url)
    const token = signedBy(rsa, 'RS256', claimsOf(users.viewerA))
    await issuer[Symbol.asyncDispose]()

    const responses = await Promise.all([keysOnly, both].map((each) => each.get('/api/v1/me', bearer(token))))

    expect(responses).toMatchObject([withoutKeys(), withoutKeys()])
  })

  test('because it is on a private address that nobody listed, the log says where to list it', async ({ users }) => {
    await using issuer = issuerOf(rsa)
    const warnings: string[] = []
    const reporter = { ...deps.reporter, warn: (message: string) => void warnings.push(message) }
    const { keysOnly } = clientsOf(issuer.url, { reporter, egress: openEgress({ allow: [] }) })
    const token = signedBy(rsa, 'RS256', claimsOf(users.viewerA))

    const response = await keysOnly.get('/api/v1/me', bearer(token))

    expect(response).toMatchObject(withoutKeys())
    expect(warnings).toEqual([
      `internal: The keys that tokens are signed with cannot be fetched; try again shortly.; because: EgressError: ${new URL(issuer.url).host} leads to an address that is not public; an operator who wants that lists it in EGRESS_ALLOW.`,
    ])
    expect(issuer.fetches()).toBe(0)
    const { keysOnly: listed } = clientsOf(issuer.url, { egress: openEgress({ allow: [new URL(issuer.url).host] }) })
    expect(await listed.get('/api/v1/me', bearer(token))).toMatchObject({ status: 200 })
  })

  test('because it has no end, the answer is the same', async ({ users }) => {
    await using issuer = issuerOf(rsa)
    const { keysOnly } = clientsOf(issuer.url)
    const token = signedBy(rsa, 'RS256', claimsOf(users.viewerA))
    const more = new TextEncoder().encode('{"keys":[],'.padEnd(64 * 1024))
    issuer.answer(() => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(more) })))

    const response = await keysOnly.get('/api/v1/me', bearer(token))

    expect(response).toMatchObject(withoutKeys())
  })

  test('it is asked for once in 5 s, however many tokens come', async ({ users, clock }) => {
    await using issuer = issuerOf(rsa)
    using time = moving(clock)
    const { keysOnly } = clientsOf(issuer.url)
    const asking = (kid: string) =>
      keysOnly.get('/api/v1/me', bearer(signedBy({ ...rsa, kid }, 'RS256', claimsOf(users.viewerA))))
    issuer.answer(() => new Response('down', { status: 500 }))

    const first = await asking('unknown-1')
    time.pass({ seconds: 4 })
    const second = await asking('unknown-2')
    const fetchesWithin = issuer.fetches()
    time.pass({ seconds: 1 })
    const third = await asking('unknown-3')

    expect([first, second, third]).toMatchObject([withoutKeys(), withoutKeys(), withoutKeys()])
    expect([fetchesWithin, issuer.fetches()]).toEqual([1, 2])
  })
})

/** The library that keeps the keys goes by the machine's time, the rest by the test's clock: both move together here, so one test at a time. */
function moving(clock: ManualClock) {
  setSystemTime(clock.now())
  return {
    pass: (time: Parameters<ManualClock['advance']>[0]) => {
      clock.advance(time)
      setSystemTime(clock.now())
    },
    [Symbol.dispose]: () => void setSystemTime(),
  }
}
