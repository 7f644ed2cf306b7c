import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { emptyDatabase } from '../own-database'
import { startServer, tenantry } from './program'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

/** The command beside a server that answers readiness like this. */
async function askedOf(answer: () => Response | Promise<Response>, env: Record<string, string> = {}) {
  const asked: string[] = []
  const peer = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      asked.push(new URL(request.url).pathname)
      return answer()
    },
  })
  try {
    const ran = await tenantry(['health'], { PORT: String(peer.port), ...env })
    return { ...ran, err: ran.err.replace(String(peer.port), '<port>'), asked }
  } finally {
    await peer.stop(true)
  }
}
const ready = () => Response.json({ status: 'ready' })

describe('tenantry health', () => {
  test('succeeds beside a server that is ready, and needs neither its secrets nor its database', async () => {
    await using database = await emptyDatabase()
    await using served = await startServer({ DATABASE_URL: database.url })
    const { port } = new URL(served.url)

    const ran = await tenantry(['health'], { PORT: port })

    expect(ran).toEqual({ code: 0, out: 'ready\n', err: '' })
  })

  test('fails in one line where nothing listens', async () => {
    const peer = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: ready })
    const { port } = peer
    await peer.stop(true)

    const ran = await tenantry(['health'], { PORT: String(port) })

    expect(ran).toEqual({
      code: 1,
      out: '',
      err: `tenantry: The server on port ${port} is not ready: it cannot be reached\n`,
    })
    expect(await askedOf(ready)).toMatchObject({ code: 0 })
  })

  test('fails where the server is not ready', async () => {
    const ran = await askedOf(() => Response.json({ status: 'not_ready' }, { status: 503 }))

    expect(ran).toEqual({
      code: 1,
      out: '',
      err: 'tenantry: The server on port <port> is not ready: it answered 503\n',
      asked: ['/health/ready'],
    })
    expect(await askedOf(ready)).toEqual({ code: 0, out: 'ready\n', err: '', asked: ['/health/ready'] })
  })

  test('fails where the server does not answer', async () => {
    const ran = await askedOf(() => new Promise(() => {}))

    expect(ran).toMatchObject({
      code: 1,
      err: 'tenantry: The server on port <port> is not ready: it does not answer within 3000 ms\n',
    })
    expect(await askedOf(ready)).toMatchObject({ code: 0 })
  })

  test.each(['0.0.0.0', '127.0.0.1', 'localhost'])('asks on loopback where the server listens on %s', async (HOST) => {
    const ran = await askedOf(ready, { HOST })

    expect(ran).toMatchObject({ code: 0, asked: ['/health/ready'] })
  })

  test('does not ask the proxy that other requests take', async () => {
    const nowhere = 'http://127.0.0.1:9'

    const ran = await askedOf(ready, { HTTP_PROXY: nowhere, http_proxy: nowhere })

    expect(ran).toMatchObject({ code: 0, asked: ['/health/ready'] })
  })
})
