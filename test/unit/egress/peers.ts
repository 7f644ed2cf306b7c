import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer, isIP, type Socket } from 'node:net'
import { EgressError } from '../../../src/egress/egress'

/** A peer that speaks bytes: `answer` has the socket once the first bytes of a request are there. */
export async function listening(answer: (socket: Socket, request: string) => void = (socket) => socket.end(ok)) {
  const requests: string[] = []
  const open = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    connections++
    open.add(socket)
    socket.on('error', () => {}) // the other side may leave as it likes
    socket.on('close', () => open.delete(socket))
    socket.once('data', (bytes) => {
      requests.push(bytes.toString('latin1'))
      answer(socket, bytes.toString('latin1'))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    requests,
    connections: () => connections,
    /** Resolves when nobody is connected. */
    async left() {
      while (open.size > 0) await new Promise((resolve) => setImmediate(resolve))
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** Names that lead where each call says; after the last one, it is repeated. Remembers who was asked for. */
export function names(answers: Record<string, string[][]>) {
  const asked: string[] = []
  return {
    asked,
    resolve: async (hostname: string) => {
      const of = answers[hostname] ?? []
      const found = of[Math.min(asked.filter((name) => name === hostname).length, of.length - 1)]
      asked.push(hostname)
      return found ?? []
    },
  }
}

/** What became of it: the error in words, or the status. */
export const outcome = (work: Promise<Response | string>): Promise<unknown> =>
  work.then(
    (answer) => (typeof answer === 'string' ? answer : answer.status),
    (error: unknown) => (error instanceof EgressError ? { kind: error.kind, message: error.message } : error),
  )

/** A certificate for this name or IPv4 address that it signs itself, put together by hand since nothing at hand makes one. */
export function certificateFor(hostname: string): { cert: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = tagged(0x30, Buffer.from('06082a8648ce3d040302', 'hex')) // ecdsa-with-SHA256
  const commonName = tagged(0x30, Buffer.from('0603550403', 'hex'), tagged(0x0c, Buffer.from(hostname)))
  const name = tagged(0x30, tagged(0x31, commonName))
  const time = (year: number) => tagged(0x18, Buffer.from(`${year}0101000000Z`))
  const subject = isIP(hostname)
    ? tagged(0x87, Buffer.from(hostname.split('.').map(Number)))
    : tagged(0x82, Buffer.from(hostname))
  const alternative = tagged(0x04, tagged(0x30, subject))
  const extension = tagged(0x30, Buffer.from('0603551d11', 'hex'), alternative) // subjectAltName
  const body = tagged(
    0x30,
    Buffer.from('a003020102020101', 'hex'), // version 3, serial number 1
    algorithm,
    name,
    tagged(0x30, time(2020), time(2120)),
    name,
    publicKey.export({ format: 'der', type: 'spki' }),
    tagged(0xa3, tagged(0x30, extension)),
  )
  const signature = tagged(0x03, Buffer.from([0]), sign('sha256', body, privateKey))
  const der = tagged(0x30, body, algorithm, signature).toString('base64')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${der.replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`,
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  }
}

/** One value of DER: tag, length, content. */
function tagged(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
