import { createHash, createHmac } from 'node:crypto'

export type Put = { status: number; path: string; body: string; type: string | null; length: string | null }

export const keys = { id: 'AKIDEXAMPLE', secret: 'canary/secret+key' }

/** A bucket on this machine that takes what is signed with `keys`, as AWS describes it (SigV4, in the query), and nothing else. */
export function signedBucket({ region = 'us-east-1', now = () => new Date() } = {}) {
  const puts: Put[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname } = new URL(request.url)
      const status = statusOf(request, region, now())
      const body = await request.text()
      puts.push({
        status,
        path: pathname,
        body,
        type: request.headers.get('content-type'),
        length: request.headers.get('content-length'),
      })
      return new Response(null, { status })
    },
  })
  return { url: server.url.origin, puts, [Symbol.asyncDispose]: () => server.stop(true) }
}

function statusOf(request: Request, region: string, now: Date): number {
  const { pathname, searchParams } = new URL(request.url)
  const signature = searchParams.get('X-Amz-Signature')
  const at = searchParams.get('X-Amz-Date') ?? ''
  const signedAt = Date.parse(at.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  const age = (now.getTime() - signedAt) / 1000
  if (!(age > -60 && age < Number(searchParams.get('X-Amz-Expires')))) return 403

  searchParams.delete('X-Amz-Signature')
  const query = [...searchParams].map((pair) => pair.map(encodeURIComponent).join('=')).sort()
  const host = request.headers.get('host')
  const canonical = [request.method, pathname, query.join('&'), `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD']
  const scope = [at.slice(0, 8), region, 's3', 'aws4_request']
  if (searchParams.get('X-Amz-Credential') !== [keys.id, ...scope].join('/')) return 403
  const hash = createHash('sha256').update(canonical.join('\n')).digest('hex')
  const key = scope.reduce<Buffer>((key, part) => hmac(key, part), Buffer.from(`AWS4${keys.secret}`))
  const expected = hmac(key, ['AWS4-HMAC-SHA256', at, scope.join('/'), hash].join('\n')).toString('hex')
  return signature === expected ? 200 : 403
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
