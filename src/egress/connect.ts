import { isIP } from 'node:net'

/** Carries a request for `url` to `address` and nowhere else, whatever the URL's host would lead to. */
export type Send = (address: string, url: URL, init: RequestInit) => Promise<Response>

/**
 * Bun looks nothing up for a URL whose host is an address. The name goes into the Host header and into TLS, where it
 * is what the certificate is checked against. `ca` replaces the authorities that the machine trusts.
 */
export function directly({ ca }: { ca?: string } = {}): Send {
  return async (address, url, { headers, ...init }) => {
    const to = new URL(url)
    to.hostname = isIP(address) === 6 ? `[${address}]` : address
    const own = new Headers(headers)
    own.set('host', url.host)
    own.set('accept-encoding', 'gzip')
    const named = isIP(url.hostname.replace(/^\[|\]$/g, '')) === 0
    const answer = await fetch(to, {
      ...init,
      headers: own,
      tls: {
        // Said aloud, since NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise be heard.
        rejectUnauthorized: true,
        ...(named && { servername: url.hostname }),
        ...(ca !== undefined && { ca }),
      },
      // A proxy would look the name up again, and go where it likes.
      proxy: false,
      // Alt-Svc would name another place to go to.
      protocol: 'http1.1',
      // A connection belongs to one request, so no other host's can get on it.
      keepalive: false,
      decompress: false,
    })
    return decompressed(answer)
  }
}

const formats: readonly CompressionFormat[] = ['gzip', 'deflate']

/**
 * No faster than it is read: Bun's fetch, when it decompresses by itself, goes on for some hundred megabytes.
 * What comes in another encoding than was asked for is left as it came.
 */
function decompressed(answer: Response): Response {
  const encoding = answer.headers.get('content-encoding')?.toLowerCase()
  const format = formats.find((each) => each === encoding)
  if (!format || !answer.body) return answer
  const headers = new Headers(answer.headers)
  headers.delete('content-encoding')
  headers.delete('content-length')
  const body = answer.body.pipeThrough(new DecompressionStream(format))
  return new Response(body, { status: answer.status, headers })
}
