import { timingSafeEqual } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import ipaddr from 'ipaddr.js'
import { bearerToken } from '../auth/access'
import type { Access, Deps } from '../deps'
import { unauthenticated } from '../errors'

type Server = { requestIP(request: Request): { address: string } | null }

/**
 * What Prometheus reads. Public as far as users and roles go, for none of them may see it: whoever has METRICS_TOKEN
 * may, or, where there is none, whoever calls from this machine.
 */
export const metricsRoutes = ({ metrics, metricsToken }: Deps, access: Access) => {
  const wanted = metricsToken === undefined ? undefined : hash(metricsToken)

  const admit = (request: Request, server: Server | null): void => {
    if (wanted) {
      if (timingSafeEqual(hash(bearerToken(request)), wanted)) return
      throw unauthenticated('This is not the METRICS_TOKEN of the service.', {
        'www-authenticate': 'Bearer error="invalid_token"',
      })
    }
    // The peer of the socket, for a header says what its sender likes. Inside the process there is no peer.
    if (isLoopback(server?.requestIP(request)?.address)) return
    throw unauthenticated('Only this machine may read metrics while METRICS_TOKEN is not set; set it, and send it.', {
      'www-authenticate': 'Bearer',
    })
  }

  return new Elysia({ tags: ['Health'] }).use(access).get(
    '/metrics',
    async ({ request, server }) => {
      admit(request, server)
      return new Response(await metrics.text(), {
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' },
      })
    },
    {
      public: true,
      response: { 200: Type.String() },
      detail: { summary: 'What Prometheus reads; with METRICS_TOKEN, or from this machine where there is none' },
    },
  )
}

/** Of one length, so that the comparison takes as long for every token. */
const hash = (token: string): Uint8Array => new Bun.CryptoHasher('sha256').update(token).digest()

/** IPv4 in IPv6's clothes (`::ffff:127.0.0.1`) is what a server that listens on `::` sees. */
export const isLoopback = (address: string | undefined): boolean =>
  address !== undefined && ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback'
