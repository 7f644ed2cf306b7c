import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { buildApp } from '../../src/app'
import { tokenVerifier } from '../../src/auth/tokens'
import type { Deps } from '../../src/deps'
import { client } from '../../src/testing'
import { deps, jwtConfig } from '../kit'

export type Key = { kid: string | undefined; privateKey: KeyObject; publicKey: KeyObject }

export const rsaKey = (kid: string): Key => ({ kid, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) })
export const ecKey = (kid: string): Key => ({ kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) })

const signatures = {
  RS256: (data: Buffer, key: KeyObject) => sign('sha256', data, key),
  RS512: (data: Buffer, key: KeyObject) => sign('sha512', data, key),
  PS256: (data: Buffer, key: KeyObject) =>
    sign('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
  ES256: (data: Buffer, key: KeyObject) => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }),
}

/** A token signed with a private key, put together by hand. */
export function signedBy(
  { kid, privateKey }: Key,
  alg: keyof typeof signatures,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): string {
  const parts = [{ alg, typ: 'JWT', kid, ...header }, claims]
  const data = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${data}.${signatures[alg](Buffer.from(data), privateKey).toString('base64url')}`
}

const asJwk = ({ kid, publicKey }: Key) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' })

/** An identity provider on this machine: its key set can be changed, and made to fail. */
export function issuerOf(...keys: Key[]) {
  const publishing = (published: Key[]) => () => Response.json({ keys: published.map(asJwk) })
  let answer: () => Response = publishing(keys)
  let fetches = 0
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: () => {
      fetches++
      return answer()
    },
  })
  return {
    url: `${server.url}jwks.json`,
    fetches: () => fetches,
    publish: (...published: Key[]) => {
      answer = publishing(published)
    },
    answer: (instead: () => Response) => {
      answer = instead
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

/** Strangers to two apps: one has only the key set, the other the secret too. */
export function clientsOf(jwksUrl: string, changes: Partial<Deps> = {}) {
  const changed = { ...deps, ...changes }
  const stranger = (secret: string | undefined) => {
    const verifyToken = tokenVerifier({ ...jwtConfig, secret, jwksUrl }, changed.clock, changed.egress)
    const app = buildApp({ ...changed, verifyToken })
    return client(
      (request) => app.handle(request),
      () => ({}),
    )
  }
  return { keysOnly: stranger(undefined), both: stranger(jwtConfig.secret) }
}
