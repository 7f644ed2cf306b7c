import { jwt } from '@elysiajs/jwt'
import {
  createRemoteJWKSet,
  customFetch,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
  SignJWT,
} from 'jose'
import type { Config } from '../config'
import type { Egress } from '../egress/egress'
import { AppError } from '../errors'
import { type Clock, isId } from '../ids'
import { type Role, roles } from './policy'

/** What a token asserts, verified as to its form and signature and not yet believed: the database has the last word. */
export type Claims = { sub: string; tenant_id: string; role: Role }

/** The claims of a token that is good now; undefined for every other, without saying why. Throws when keys cannot be had. */
export type VerifyToken = (token: string) => Promise<Claims | undefined>

export const leewaySeconds = 30
export const longestLifeSeconds = 24 * 60 * 60
/** A longer token is not looked at. */
const longestToken = 8192
/** How long a token that verified is not verified again: so long a key may outlive the fetch that found it gone. */
const rememberedForMs = 60_000
/** How long after a fetch of the key set, failed or not, there is no other. */
const betweenFetchesSeconds = 5
const fetchTimeoutMs = 5_000
const largestKeySet = 256 * 1024

/**
 * HS256 with the secret, RS256 and ES256 with the key set: the algorithm in the header picks one of the two and
 * never the other, so a public key cannot serve as a secret. `jku`, `jwk`, `x5u` and `kid` as a path are not looked at.
 * The key set is fetched through `egress`: one on a private address must be listed in EGRESS_ALLOW.
 */
export function tokenVerifier(config: Config['jwt'], clock: Clock, egress: Pick<Egress, 'fetch'>): VerifyToken {
  const bySecret = config.secret === undefined ? undefined : secretVerifier(config.secret)
  const byKeySet = config.jwksUrl === undefined ? undefined : keySetVerifier(config.jwksUrl, clock, egress)
  const remembered = new Remembered<{ claims: Claims; expiresAt: number; verifiedAt: number }>(10_000)

  return async (token) => {
    if (token.length > longestToken) return undefined
    const now = clock.now().getTime()
    // Keyed by the hash of the whole token, tenant included, so that memory holds no credential.
    const key = Bun.SHA256.hash(token, 'base64')
    const known = remembered.get(key)
    if (known && now < known.expiresAt && now >= known.verifiedAt && now - known.verifiedAt < rememberedForMs)
      return known.claims

    const algorithm = algorithmOf(token)
    const verify =
      algorithm === 'HS256' ? bySecret : algorithm === 'RS256' || algorithm === 'ES256' ? byKeySet : undefined
    const payload = await verify?.(token, {
      algorithms: [algorithm as string],
      audience: config.audience,
      ...(config.issuer !== undefined && { issuer: config.issuer }),
      requiredClaims: ['exp', 'sub', 'tenant_id', 'role'],
      clockTolerance: leewaySeconds,
      currentDate: clock.now(),
    })
    const parsed = payload && parseClaims(payload, now / 1000)
    if (parsed) remembered.set(key, { ...parsed, verifiedAt: now })
    return parsed?.claims
  }
}

type Verify = (token: string, options: JWTVerifyOptions) => Promise<JWTPayload | undefined>

function secretVerifier(secret: string): Verify {
  const plugin = jwt({ secret }).decorator.jwt
  // `iss` and `aud` given to the plugin would only be used for signing; all that is checked is in the options.
  return async (token, options) => ((await plugin.verify(token, options)) || undefined) as JWTPayload | undefined
}

/**
 * Keys are fetched once, again after 10 minutes, and again for an unknown `kid`, but at most every 30 seconds.
 * While the key set cannot be fetched, the cached keys serve until those 10 minutes are over.
 */
function keySetVerifier(url: string, clock: Clock, egress: Pick<Egress, 'fetch'>): Verify {
  let fetchedAt = Number.NEGATIVE_INFINITY
  const noKeys = () =>
    createRemoteJWKSet(new URL(url), {
      cacheMaxAge: 600_000,
      cooldownDuration: 30_000,
      timeoutDuration: fetchTimeoutMs,
      // jose spares the server only after a success; without this, while it is down, every stranger's token is a fetch.
      [customFetch]: async (from, { headers }) => {
        const now = clock.now().getTime()
        if (Math.abs(now - fetchedAt) < betweenFetchesSeconds * 1000)
          throw new Error('The key set could not be fetched a moment ago.')
        fetchedAt = now
        return await egress.fetch(from, {
          headers: Object.fromEntries(headers),
          limits: { timeoutMs: fetchTimeoutMs, largestAnswer: largestKeySet },
        })
      },
    })
  let keys = noKeys()
  return async (token, options) => {
    // By a clock that was set back, jose would take its keys for new until the time of the fetch comes again.
    if (fetchedAt - clock.now().getTime() >= betweenFetchesSeconds * 1000) {
      fetchedAt = Number.NEGATIVE_INFINITY
      keys = noKeys()
    }
    try {
      return (await jwtVerify(token, keys, options)).payload
    } catch (error) {
      if (
        error instanceof errors.JWKSTimeout ||
        error instanceof errors.JWKSInvalid ||
        !(error instanceof errors.JOSEError) ||
        error.message.includes('JSON Web Key Set HTTP response')
      ) {
        throw new AppError('internal', 'The keys that tokens are signed with cannot be fetched; try again shortly.', {
          cause: error,
          retryAfterSeconds: betweenFetchesSeconds,
        })
      }
      return undefined
    }
  }
}

function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg
  } catch {
    return undefined
  }
}

/** Undefined when a claim is of the wrong kind, or the token would live longer than a day. */
function parseClaims(
  { sub, tenant_id, role, exp, iat }: JWTPayload,
  nowSeconds: number,
): { claims: Claims; expiresAt: number } | undefined {
  const known = roles.find((each) => each === role)
  if (typeof sub !== 'string' || sub.length === 0 || sub.length > 255 || sub.includes('\0')) return undefined
  if (typeof tenant_id !== 'string' || !isId(tenant_id)) return undefined
  if (known === undefined || exp === undefined) return undefined
  if (iat !== undefined && iat > nowSeconds + leewaySeconds) return undefined
  if (exp - Math.min(iat ?? nowSeconds, nowSeconds) > longestLifeSeconds + leewaySeconds) return undefined
  return { claims: { sub, tenant_id, role: known }, expiresAt: (exp + leewaySeconds) * 1000 }
}

/** A token such as `tenantry token` prints, and tests use. */
export function signToken(
  claims: Claims,
  { secret, issuer, audience }: Config['jwt'] & { secret: string },
  clock: Clock,
  lifetimeSeconds: number,
): Promise<string> {
  const now = Math.floor(clock.now().getTime() / 1000)
  const token = new SignJWT({ tenant_id: claims.tenant_id, role: claims.role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(claims.sub)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + lifetimeSeconds)
  if (issuer !== undefined) token.setIssuer(issuer)
  return token.sign(new TextEncoder().encode(secret))
}

/** The most recently used values, between `size` and twice that many, in two generations: to move a hot key to the end of one large Map is slow in JSC. */
class Remembered<V> {
  #young = new Map<string, V>()
  #old = new Map<string, V>()

  constructor(private readonly size: number) {}

  get(key: string): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.size) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
