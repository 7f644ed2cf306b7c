import { describe, expect, test } from 'bun:test'
import { createServer } from 'node:https'
import { directly } from '../../../src/egress/connect'
import { openEgress } from '../../../src/egress/open'
import { certificateFor, listening, names, ok, outcome } from './peers'

const host = 'hooks.example.com'

describe('A name', () => {
  test('is looked up once, and what was found is connected to', async () => {
    await using peer = await listening()
    const dns = names({ [host]: [['127.0.0.1'], ['127.0.0.2'], ['10.0.0.1']] })
    const egress = openEgress({ allow: ['127.0.0.1'], resolve: dns.resolve })

    const response = await egress.fetch(`http://${host}:${peer.port}/hook?secret=1`, {
      method: 'POST',
      headers: { 'x-id': '7', Host: 'other.example' },
      body: 'hello',
    })

    expect([response.status, await response.text(), dns.asked]).toEqual([200, 'ok', [host]])
    expect(peer.requests[0]?.split('\r\n')).toEqual(
      expect.arrayContaining(['POST /hook?secret=1 HTTP/1.1', `Host: ${host}:${peer.port}`, 'x-id: 7']),
    )
    expect(peer.requests[0]).not.toContain('other.example')
  })

  test('that leads outside first and inside next is only ever gone to outside', async () => {
    await using peer = await listening()
    const dns = names({ [host]: [['93.184.215.14'], ['127.0.0.1']] })
    const sent: string[] = []
    const send = async (address: string) => {
      sent.push(address)
      return new Response('ok')
    }
    const egress = openEgress({ allow: [], resolve: dns.resolve, send })

    const first = await outcome(egress.fetch(`http://${host}:${peer.port}/`))
    const second = await outcome(egress.fetch(`http://${host}:${peer.port}/`))

    expect([first, sent, dns.asked]).toEqual([200, ['93.184.215.14'], [host, host]])
    expect(second).toMatchObject({ kind: 'refused' })
    expect(peer.connections()).toBe(0)
  })

  test('of several addresses is tried at the next where nobody listens at the first', async () => {
    await using peer = await listening()
    const dns = names({ [host]: [['127.0.0.2', '127.0.0.1']] })
    const egress = openEgress({ allow: ['127.0.0.0/8'], resolve: dns.resolve })

    const result = await outcome(egress.fetch(`http://${host}:${peer.port}/`))

    expect([result, peer.connections()]).toEqual([200, 1])
  })

  test('of several addresses is not tried again once something was sent', async () => {
    await using peer = await listening((socket) => socket.destroy())
    const dns = names({ [host]: [['127.0.0.1', '127.0.0.1']] })
    const egress = openEgress({ allow: ['127.0.0.1'], resolve: dns.resolve })

    const result = await outcome(egress.fetch(`http://${host}:${peer.port}/`, { method: 'POST', body: 'once' }))

    expect(result).toEqual({ kind: 'failed', message: `No answer from ${host}:${peer.port} (ECONNRESET).` })
    expect(peer.connections()).toBe(1)
  })

  test('is looked up by the machine where nothing else is said', async () => {
    await using peer = await listening()
    const egress = openEgress({ allow: ['127.0.0.1', '::1'] })

    const result = await outcome(egress.fetch(`http://localhost:${peer.port}/`))

    expect(result).toBe(200)
  })
})

describe('A connection', () => {
  test('serves one request', async () => {
    await using peer = await listening((socket) => {
      socket.write(ok)
      socket.on('data', () => socket.write(ok))
    })
    const egress = openEgress({ allow: ['127.0.0.1'] })
    const url = `http://127.0.0.1:${peer.port}/`

    const results = [await (await egress.fetch(url)).text(), await (await egress.fetch(url)).text()]

    expect([results, peer.connections()]).toEqual([['ok', 'ok'], 2])
    const others = [await (await fetch(url)).text(), await (await fetch(url)).text()]
    expect([others, peer.connections()]).toEqual([['ok', 'ok'], 3])
  })

  test.serial('goes around the proxy of the environment', async () => {
    await using peer = await listening()
    await using proxy = await listening((socket) => socket.end(ok))
    using _ = environment({
      HTTP_PROXY: `http://127.0.0.1:${proxy.port}`,
      http_proxy: `http://127.0.0.1:${proxy.port}`,
    })
    const url = `http://127.0.0.1:${peer.port}/`

    const result = await outcome(openEgress({ allow: ['127.0.0.1'] }).fetch(url))

    expect([result, peer.connections(), proxy.connections()]).toEqual([200, 1, 0])
    await fetch(url)
    expect([peer.connections(), proxy.connections()]).toEqual([1, 1])
  })
})

describe('A redirect', () => {
  test.each([301, 302, 303, 307, 308])('of %i is an answer, and not followed', async (status) => {
    await using inside = await listening()
    await using peer = await listening((socket) =>
      socket.end(`HTTP/1.1 ${status} X\r\nlocation: http://127.0.0.1:${inside.port}/\r\ncontent-length: 0\r\n\r\n`),
    )

    const response = await openEgress({ allow: ['127.0.0.1'] }).fetch(`http://127.0.0.1:${peer.port}/`)

    expect([response.status, response.headers.get('location')]).toEqual([status, `http://127.0.0.1:${inside.port}/`])
    expect([peer.connections(), inside.connections()]).toEqual([1, 0])
  })
})

describe('TLS', () => {
  const { cert, key } = certificateFor(host)
  const at = (ca: string | undefined) =>
    openEgress({
      allow: ['127.0.0.1'],
      resolve: async () => ['127.0.0.1'],
      send: directly(ca === undefined ? {} : { ca }),
    })

  test('names the host, and takes its certificate', async () => {
    await using peer = await secure({ cert, key })

    const response = await at(cert).fetch(`https://${host}:${peer.port}/`)

    expect(await response.json()).toEqual({ host: `${host}:${peer.port}`, servername: host })
  })

  test('takes the certificate of an address, which it does not name', async () => {
    const own = certificateFor('127.0.0.1')
    await using peer = await secure(own)

    const response = await at(own.cert).fetch(`https://127.0.0.1:${peer.port}/`)

    expect(await response.json()).toEqual({ host: `127.0.0.1:${peer.port}`, servername: false })
  })

  const refusals: [string, string, string | undefined, string][] = [
    ["another host's", 'other.example.com', cert, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ["a host's, for its address", '127.0.0.1', cert, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['one that nobody vouches for', host, undefined, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['one that somebody else vouches for', host, certificateFor(host).cert, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ]
  test.each(refusals)('refuses a certificate that is %s', async (_, name, ca, code) => {
    await using peer = await secure({ cert, key })

    const result = await outcome(at(ca).fetch(`https://${name}:${peer.port}/`))

    expect(result).toEqual({ kind: 'failed', message: `No answer from ${name}:${peer.port} (${code}).` })
    expect(await outcome(at(cert).fetch(`https://${host}:${peer.port}/`))).toBe(200)
  })

  test.serial('is checked even where the environment says that nothing is', async () => {
    await using peer = await secure({ cert, key })
    using _ = environment({ NODE_TLS_REJECT_UNAUTHORIZED: '0' })

    const result = await outcome(at(undefined).fetch(`https://${host}:${peer.port}/`))

    expect(result).toMatchObject({ kind: 'failed' })
    const unchecked = await fetch(`https://127.0.0.1:${peer.port}/`, { keepalive: false })
    expect(unchecked.status).toBe(200)
  })
})

/** Variables of the environment, for a while. */
function environment(variables: Record<string, string>) {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  return {
    [Symbol.dispose]: () => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    },
  }
}

/** Answers with what it was called. */
async function secure(certificate: { cert: string; key: string }) {
  const server = createServer(certificate, ({ headers, socket }, response) => {
    const servername = 'servername' in socket ? socket.servername : undefined
    response.end(JSON.stringify({ host: headers.host, servername }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
