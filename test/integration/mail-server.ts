import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

export type Arrived = {
  from: string
  to: string[]
  /** Who had logged in; false where nobody had. */
  user: string | false
  encrypted: boolean
  /** As it came, with its header. */
  text: string
}

/** An error that the server answers with this number. */
export const refusal = (responseCode: number, message = 'said the server'): Error =>
  Object.assign(new Error(message), { responseCode })

/** A mail server on this machine, which takes all mail that `options` let through, and counts who connects. */
export async function mailServer(options: SMTPServerOptions = {}) {
  const arrived: Arrived[] = []
  const logins: string[] = []
  const state = { connections: 0 }
  const server = new SMTPServer({
    authOptional: true,
    logger: false,
    onConnect(_session, callback) {
      state.connections++
      callback()
    },
    onAuth({ username, password }, { secure }, callback) {
      logins.push(`${username}:${password}:${secure ? 'encrypted' : 'in the clear'}`)
      callback(null, { user: username })
    },
    onData(stream, { envelope, user = false, secure }, callback) {
      let text = ''
      stream.on('data', (bytes: Buffer) => {
        text += bytes.toString()
      })
      stream.on('end', () => {
        const from = envelope.mailFrom ? envelope.mailFrom.address : ''
        arrived.push({ from, to: envelope.rcptTo.map(({ address }) => address), user, encrypted: secure, text })
        callback()
      })
    },
    ...options,
  })
  server.on('error', () => {}) // who connects may leave as he likes
  const listening = server.listen(0, '127.0.0.1')
  await new Promise((resolve) => listening.once('listening', resolve))
  const address = listening.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    arrived,
    logins,
    connections: () => state.connections,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(resolve)),
  }
}
