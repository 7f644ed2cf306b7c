import { describe, expect, test } from 'bun:test'
import { getEventListeners } from 'node:events'
import type { Socket } from 'node:net'
import { deflateSync, gzipSync } from 'node:zlib'
import type { EgressRequest } from '../../../src/egress/egress'
import { openEgress } from '../../../src/egress/open'
import { listening, outcome } from './peers'

const egress = openEgress({ allow: ['127.0.0.1'] })
const secret = 'canary-7f3a'
const urlOf = ({ port }: { port: number }) => `http://127.0.0.1:${port}/services/${secret}?key=${secret}`
const late = ({ port }: { port: number }, ms: number) => ({
  kind: 'failed',
  message: `127.0.0.1:${port} did not answer in full within ${ms} ms.`,
})

/** Reads all of it, as a caller does. */
const whole = async (peer: { port: number }, request: EgressRequest) => {
  const response = await egress.fetch(urlOf(peer), request)
  return await response.text()
}

describe('The time of a request', () => {
  const slow: [string, (socket: Socket) => void][] = [
    ['never answers', () => {}],
    ['says one byte of its head after the other', (socket) => drip(socket, 'HTTP/1.1 200 OK\r\nx-a: ', 'y')],
    ['goes on for ever to say that it goes on', (socket) => drip(socket, '', 'HTTP/1.1 100 Continue\r\n\r\n')],
    ['stops after its head', (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n')],
    ['stops in the middle', (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel')],
    ['sends one byte after the other', (socket) => drip(socket, 'HTTP/1.1 200 OK\r\n\r\n', 'y')],
  ]
  test.each(slow)('is over for a peer that %s', async (_, answer) => {
    await using peer = await listening(answer)

    const result = await outcome(whole(peer, { limits: { timeoutMs: 100 } }))

    expect(result).toEqual(late(peer, 100))
    await peer.left()
    await using good = await listening()
    expect(await outcome(whole(good, { limits: { timeoutMs: 2000 } }))).toBe('ok')
  })

  test('counts the look-up', async () => {
    const hanging = openEgress({ allow: [], limits: { timeoutMs: 50 }, resolve: () => new Promise(() => {}) })

    const results = await Promise.all([
      outcome(hanging.fetch('https://hooks.example.com/')),
      outcome(hanging.resolve('mail.example.com', 25)),
    ])

    expect(results).toEqual([
      { kind: 'failed', message: 'hooks.example.com did not answer in full within 50 ms.' },
      { kind: 'failed', message: 'mail.example.com did not answer in full within 50 ms.' },
    ])
  })

  test('is over for an answer that nobody reads, and its connection with it', async () => {
    await using peer = await listening((socket) => drip(socket, 'HTTP/1.1 200 OK\r\n\r\n', 'y'))

    const response = await egress.fetch(urlOf(peer), { limits: { timeoutMs: 100 } })
    await peer.left()

    expect(response.status).toBe(200)
    expect(await outcome(response.text())).toEqual(late(peer, 100))
  })
})

describe('The size of an answer', () => {
  const limits = { largestAnswer: 100_000 }
  const tooLarge = ({ port }: { port: number }) => ({
    kind: 'failed',
    message: `The answer of 127.0.0.1:${port} has more than 100000 bytes.`,
  })
  const zeros = Buffer.alloc(16 * 1024 * 1024)
  const bombs: [string, Buffer][] = [
    ['gzip', gzipSync(zeros)],
    ['deflate', deflateSync(zeros)],
  ]
  test.each(bombs)('is counted after decompression: %s', async (encoding, bomb) => {
    const head = (bytes: number) =>
      `HTTP/1.1 200 OK\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${bytes}\r\n\r\n`
    await using peer = await listening((socket) => {
      socket.write(head(bomb.length))
      socket.end(bomb)
    })

    const result = await outcome(whole(peer, { limits }))

    expect(result).toEqual(tooLarge(peer))
    expect(bomb.length).toBeLessThan(100_000)
    await peer.left()
  })

  const text = 'small enough'.repeat(1000)
  const compressed: [string, Buffer][] = [
    ['gzip', gzipSync(text)],
    ['GZIP', gzipSync(text)],
    ['deflate', deflateSync(text)],
  ]
  test.each(compressed)('may be smaller on its way: %s', async (encoding, bytes) => {
    await using peer = await listening((socket) => {
      socket.write(
        `HTTP/1.1 201 X\r\nx-a: y\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${bytes.length}\r\n\r\n`,
      )
      socket.end(bytes)
    })

    const response = await egress.fetch(urlOf(peer), { limits })

    expect([response.status, Object.fromEntries(response.headers)]).toEqual([201, { 'x-a': 'y' }])
    expect(await response.text()).toBe(text)
  })

  test('of exactly the limit is taken, and one byte more is not', async () => {
    await using peer = await listening((socket, request) => {
      const bytes = Number(/bytes=(\d+)/.exec(request)?.[1])
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n${'y'.repeat(bytes)}`)
    })
    const reading = async (bytes: number) =>
      (await (await egress.fetch(`${urlOf(peer)}&bytes=${bytes}`, { limits })).text()).length.toString()

    const results = [await outcome(reading(100_000)), await outcome(reading(100_001))]

    expect(results).toEqual(['100000', tooLarge(peer)])
  })

  test('is limited where there is no end', async () => {
    await using peer = await listening((socket) => flood(socket, 'HTTP/1.1 200 OK\r\n\r\n'))

    const result = await outcome(whole(peer, { limits }))

    expect(result).toEqual(tooLarge(peer))
    await peer.left()
  })

  test('is limited in its head too', async () => {
    await using peer = await listening((socket) => flood(socket, 'HTTP/1.1 200 OK\r\nx-a: '))

    const result = await outcome(whole(peer, { limits }))

    expect(result).toEqual({
      kind: 'failed',
      message: `No answer from 127.0.0.1:${peer.port} (ResponseHeadersTooLarge).`,
    })
    await peer.left()
  })
})

describe('A caller', () => {
  test('that gives up before, during and after the head is heard', async () => {
    await using silent = await listening(() => {})
    await using dripping = await listening((socket) => drip(socket, 'HTTP/1.1 200 OK\r\n\r\n', 'y'))
    const hanging = openEgress({ allow: [], resolve: () => new Promise(() => {}) })
    const [during, after] = [new AbortController(), new AbortController()]

    const waiting = outcome(egress.fetch(urlOf(silent), { signal: during.signal }))
    const response = await egress.fetch(urlOf(dripping), { signal: after.signal })
    during.abort()
    after.abort()
    const results = [
      await outcome(egress.fetch(urlOf(silent), { signal: AbortSignal.abort() })),
      await outcome(hanging.fetch('https://hooks.example.com/', { signal: AbortSignal.abort() })),
      await waiting,
      await outcome(response.text()),
    ]

    const givenUp = ({ port }: { port: number }) => ({
      kind: 'failed',
      message: `The request to 127.0.0.1:${port} was given up.`,
    })
    const early = { kind: 'failed', message: 'The request to hooks.example.com was given up.' }
    expect(results).toEqual([givenUp(silent), early, givenUp(silent), givenUp(dripping)])
    await Promise.all([silent.left(), dripping.left()])
  })

  test('that wants no body cuts the connection', async () => {
    const { promise: cut, resolve } = Promise.withResolvers<void>()
    const open = openEgress({
      allow: [],
      send: async (_address, _url, { signal }) => {
        signal?.addEventListener('abort', () => resolve())
        return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1)) }))
      },
    })

    const response = await open.fetch('http://8.8.8.8/')
    await response.body?.cancel()

    expect(response.status).toBe(200)
    expect(await cut).toBeUndefined()
  })
})

describe('An error', () => {
  const nonsense: [string, string, string][] = [
    ['is no HTTP', 'SSH-2.0-OpenSSH\r\n', 'Malformed_HTTP_Response'],
    ['ends too early', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok', 'ECONNRESET'],
    [
      'is not what it was said to be',
      'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok',
      'TypeError',
    ],
    ['wants another protocol', 'HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 'UnrequestedUpgrade'],
  ]
  test.each(nonsense)('about an answer that %s tells the host and nothing else', async (_, answer, code) => {
    await using peer = await listening((socket) => socket.end(answer))

    const error: unknown = await whole(peer, {
      headers: { authorization: secret },
      body: secret,
      method: 'POST',
    }).catch((thrown: unknown) => thrown)

    expect(await outcome(Promise.reject(error))).toEqual({
      kind: 'failed',
      message: `No answer from 127.0.0.1:${peer.port} (${code}).`,
    })
    expect(Bun.inspect(error)).not.toContain(secret)
  })

  test('about a header that cannot be sent keeps it to itself', async () => {
    await using peer = await listening()

    const result = await outcome(egress.fetch(urlOf(peer), { headers: { authorization: `${secret}\r\nx: y` } }))

    expect(result).toMatchObject({ kind: 'failed', message: expect.not.stringContaining(secret) })
    expect(peer.connections()).toBe(0)
  })

  test('is thrown for a status beyond HTTP, and for no other', async () => {
    await using peer = await listening((socket, request) =>
      socket.end(`HTTP/1.1 ${/status=(\d+)/.exec(request)?.[1]} X\r\ncontent-length: 0\r\n\r\n`),
    )

    const statuses = [200, 204, 304, 404, 500, 599, 999]
    const results = await Promise.all(
      statuses.map((status) => outcome(egress.fetch(`${urlOf(peer)}&status=${status}`))),
    )

    const beyond = { kind: 'failed', message: `127.0.0.1:${peer.port} answered with no status of HTTP.` }
    expect(results).toEqual([200, 204, 304, 404, 500, 599, beyond])
  })

  test('of ours leaves nothing behind with the caller', async () => {
    await using peer = await listening()
    const { signal } = new AbortController()

    const refused = await outcome(openEgress({ allow: [] }).fetch(urlOf(peer), { signal }))

    expect(refused).toMatchObject({ kind: 'refused' })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('of ours cuts the connection whose answer it is about', async () => {
    await using peer = await listening((socket) => drip(socket, 'HTTP/1.1 999 X\r\n\r\n', 'y'))

    const patient = openEgress({ allow: ['127.0.0.1'], limits: { timeoutMs: 60_000 } })

    const result = await outcome(patient.fetch(urlOf(peer)))

    expect(result).toMatchObject({ kind: 'failed' })
    await peer.left()
  })
})

/** One piece every 5 ms until nobody is there. */
function drip(socket: Socket, first: string, piece: string) {
  socket.write(first)
  const timer = setInterval(() => socket.write(piece), 5)
  socket.on('close', () => clearInterval(timer))
}

/** As much as the other side takes. */
function flood(socket: Socket, first: string, piece = 'y'.repeat(10_000)) {
  socket.write(first)
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on('drain', more)
  more()
}
