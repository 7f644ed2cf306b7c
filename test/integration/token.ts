import { createHmac } from 'node:crypto'
import { jwtConfig, startsAt } from '../kit'

/** When every test begins, as tokens count time: seconds since 1970. */
export const startSeconds = startsAt.getTime() / 1000

type User = { external_id: string; tenant_id: string; role: string }

/** What a token says that is good for an hour. */
export const claimsOf = ({ external_id, tenant_id, role }: User) => ({
  sub: external_id,
  tenant_id,
  role,
  aud: jwtConfig.audience,
  iat: startSeconds,
  exp: startSeconds + 3600,
})

type Forging = { header?: Record<string, unknown>; secret?: string; hash?: 'sha256' | 'sha384' | 'sha512' }

/** A token put together by hand, because a library would refuse to make most of the wrong ones. Claims may be raw JSON. */
export function handmade(
  claims: Record<string, unknown> | string,
  { header, secret = jwtConfig.secret, hash = 'sha256' }: Forging = {},
): string {
  const payload = typeof claims === 'string' ? claims : JSON.stringify(claims)
  const signed = `${encode(JSON.stringify({ alg: 'HS256', typ: 'JWT', ...header }))}.${encode(payload)}`
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`
}

const encode = (text: string) => Buffer.from(text).toString('base64url')

/** What a client sends to speak with this token. */
export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

/** The answer to a token that is no good. Made anew for each use: toMatchObject of Bun 1.4.5 looks only once at an object that it meets twice. */
export const invalidToken = () => ({
  status: 401,
  headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
  body: { code: 'unauthenticated', detail: 'The token is not valid, or not any more; get a new one.' },
})
