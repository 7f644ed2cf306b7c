import { describe, expect, test } from 'bun:test'
import { createServer } from 'node:net'
import { openEgress } from '../../src/egress/open'
import { configErrors } from '../../src/plugins/config'
import { emailNotifications } from '../../src/plugins/email-notifications'
import { certificateFor, listening } from '../unit/egress/peers'
import { mailServer, refusal } from './mail-server'
import { atWork, eventId, outcome, replied } from './plugin-peers'

const certificate = certificateFor('mail.example.com')
const plugin = emailNotifications({ ca: certificate.cert })
/** Where mail.example.com is this machine. */
const egress = openEgress({ allow: ['mail.example.com', '127.0.0.1'], resolve: async () => ['127.0.0.1'] })

const configAt = (port: number) => ({
  smtp_host: 'mail.example.com',
  smtp_port: port,
  from_email: 'tenantry@acme.example',
  to: ['ada@acme.example', 'olivia@acme.example'],
  events: ['reply.completed'],
})
const credentials = { username: 'acme', password: 'canary password' }
const send = (config: Record<string, unknown>, event = replied, signal?: AbortSignal) =>
  outcome(plugin.events?.run(event, atWork(config, { egress, ...(signal && { signal }) })))

describe('The mail plugin', () => {
  test('hands a mail to the server, encrypted by STARTTLS', async () => {
    await using server = await mailServer(certificate)

    const result = await send(configAt(server.port))

    expect(result).toBe('done')
    expect(server.arrived).toMatchObject([
      {
        from: 'tenantry@acme.example',
        to: ['ada@acme.example', 'olivia@acme.example'],
        encrypted: true,
        user: false,
      },
    ])
    const [header = '', ...body] = (server.arrived[0]?.text ?? '').split('\r\n\r\n')
    expect(header.split(/\r\n(?! )/).sort()).toEqual([
      'Auto-Submitted: auto-generated',
      'Content-Transfer-Encoding: quoted-printable',
      'Content-Type: text/plain; charset=utf-8',
      'Date: Mon, 02 Mar 2026 08:59:58 +0000',
      'From: tenantry@acme.example',
      'MIME-Version: 1.0',
      `Message-ID: <${eventId}@acme.example>`,
      'Subject: A reply was given',
      'To: ada@acme.example, olivia@acme.example',
    ])
    expect(body.map((paragraph) => paragraph.replaceAll('=\r\n', ''))).toEqual([
      'The model small-model replied with message message-2 to user user-3 in conversation conversation-1: 12 + 34 tokens, 56 ms.',
      `reply.completed, 2026-03-02T08:59:58.000Z, ${eventId}\r\n`,
    ])
  })

  test('hands it over by TLS from the start, if so configured', async () => {
    await using server = await mailServer({ ...certificate, secure: true })

    const result = await send({ ...configAt(server.port), security: 'tls', ...credentials })

    expect(result).toBe('done')
    expect(server.logins).toEqual(['acme:canary password:encrypted'])
    expect(server.arrived).toMatchObject([{ encrypted: true, user: 'acme' }])
  })

  test('logs in where it has credentials, once the connection is encrypted', async () => {
    await using server = await mailServer({ ...certificate, authOptional: false })

    const result = await send({ ...configAt(server.port), ...credentials })

    expect(result).toBe('done')
    expect(server.logins).toEqual(['acme:canary password:encrypted'])
    expect(server.arrived).toMatchObject([{ encrypted: true, user: 'acme' }])
  })

  test('sends nothing without its credentials where the server does not ask for any', async () => {
    await using server = await mailServer({ ...certificate, disabledCommands: ['AUTH'] })

    const result = await send({ ...configAt(server.port), ...credentials })

    expect(result).toEqual({ hopeless: 'The mail server refused the credentials (500).' })
    expect(server.arrived).toEqual([])
  })

  test('sends in the clear only if so configured', async () => {
    await using server = await mailServer({ disabledCommands: ['STARTTLS', 'AUTH'] })

    const results = [
      await send(configAt(server.port)),
      await send({ ...configAt(server.port), ...credentials }),
      await send({ ...configAt(server.port), security: 'none' }),
    ]

    expect(results).toEqual([
      { hopeless: 'The mail server refused STARTTLS (500).' },
      { hopeless: 'The mail server refused STARTTLS (500).' },
      'done',
    ])
    expect(server.arrived.map(({ encrypted }) => encrypted)).toEqual([false])
  })

  test.each(['starttls', 'tls'])('trusts no certificate of another name (%s)', async (security) => {
    const other = certificateFor('other.example.com')
    await using server = await mailServer({ ...other, secure: security === 'tls' })
    const trusting = emailNotifications({ ca: other.cert })

    const config = { ...configAt(server.port), security, ...credentials }
    const result = await outcome(trusting.events?.run(replied, atWork(config, { egress })))

    expect(result).toMatchObject({ again: expect.stringMatching(/^No mail could be handed to mail\.example\.com \(E/) })
    expect([server.logins, server.arrived]).toEqual([[], []])
  })

  test.each(['starttls', 'tls'])('trusts no certificate that nobody vouches for (%s)', async (security) => {
    await using server = await mailServer({ ...certificate, secure: security === 'tls' })

    const config = { ...configAt(server.port), security, ...credentials }
    const result = await outcome(emailNotifications().events?.run(replied, atWork(config, { egress })))

    expect(result).toMatchObject({ again: expect.stringMatching(/^No mail could be handed to mail\.example\.com \(E/) })
    expect([server.logins, server.arrived]).toEqual([[], []])
  })

  test('goes nowhere that the guard does not', async () => {
    await using server = await mailServer(certificate)
    const guarded = openEgress({ allow: [], resolve: async () => ['127.0.0.1'] })

    const result = await outcome(plugin.events?.run(replied, atWork(configAt(server.port), { egress: guarded })))

    expect(result).toEqual({
      again:
        'mail.example.com leads to an address that is not public; an operator who wants that lists it in EGRESS_ALLOW.',
    })
    expect(server.connections()).toBe(0)
  })

  test('sends the same mail again under the same id', async () => {
    const answers = [refusal(451), undefined]
    await using server = await mailServer({
      ...certificate,
      onMailFrom: (_address, _session, callback) => callback(answers.shift()),
    })

    const results = [await send(configAt(server.port)), await send(configAt(server.port))]

    expect(results).toEqual([{ later: 'The mail server does not take the mail now (451).', seconds: 0 }, 'done'])
    expect(server.arrived.map(({ text }) => /^Message-ID: (.*)$/im.exec(text)?.[1])).toEqual([
      `<${eventId}@acme.example>`,
    ])
  })

  test('gives up where the server refuses for good, and quotes nothing of what it says', async () => {
    await using wrongPassword = await mailServer({
      ...certificate,
      onAuth: ({ password }, _session, callback) => callback(refusal(535, `wrong: ${password}`)),
    })
    await using wrongSender = await mailServer({
      ...certificate,
      onMailFrom: (_address, _session, callback) => callback(refusal(550, 'canary')),
    })
    await using full = await mailServer({
      ...certificate,
      onData: (stream, _session, callback) => {
        stream.resume()
        stream.on('end', () => callback(refusal(552, 'canary')))
      },
    })

    const results = [
      await send({ ...configAt(wrongPassword.port), ...credentials }),
      await send(configAt(wrongSender.port)),
      await send(configAt(full.port)),
    ]

    expect(results).toEqual([
      { hopeless: 'The mail server refused the credentials (535).' },
      { hopeless: 'The mail server refused the mail (550).' },
      { hopeless: 'The mail server refused the mail (552).' },
    ])
  })

  const recipients: [string, Record<string, number>, unknown][] = [
    ['one for good', { ada: 550 }, { hopeless: 'The mail server refused 1 of 2 recipients (550).' }],
    ['one for now', { ada: 452 }, { later: 'The mail server does not take 1 of 2 recipients now (452).', seconds: 0 }],
    ['all for good', { ada: 550, olivia: 551 }, { hopeless: 'The mail server refused the mail (551).' }],
    [
      'all, one for now',
      { ada: 450, olivia: 550 },
      { later: 'The mail server does not take the mail now (450).', seconds: 0 },
    ],
  ]
  test.each(recipients)('says when the server refuses recipients: %s', async (_, refused, meaning) => {
    await using server = await mailServer({
      ...certificate,
      onRcptTo({ address }, _session, callback) {
        const code = refused[address.split('@')[0] ?? '']
        callback(code === undefined ? null : refusal(code, 'canary'))
      },
    })

    const result = await send(configAt(server.port))

    expect(result).toEqual(meaning)
    expect(server.arrived.map(({ to }) => to.length)).toEqual(Object.keys(refused).length === 2 ? [] : [1])
  })

  test('keeps what users named out of the header, and whole in one mail', async () => {
    await using server = await mailServer(certificate)
    const model = 'x\r\n.\r\nMAIL FROM:<evil@example.com>\r\nBcc: evil@example.com\r\n\r\n'
    const event = { ...replied, data: { ...replied.data, model } } as typeof replied

    const result = await send(configAt(server.port), event)

    expect(result).toBe('done')
    expect(server.arrived.map(({ to }) => to)).toEqual([['ada@acme.example', 'olivia@acme.example']])
    expect(server.arrived[0]?.text).toContain('The model x . MAIL FROM:<evil@example.com> Bcc: evil@example.com')
    expect(server.arrived[0]?.text).not.toMatch(/^Bcc:/im)
  })

  test('tries again where nobody listens', async () => {
    const { port } = await closed()

    const result = await send(configAt(port))

    expect(result).toEqual({ again: 'No mail could be handed to mail.example.com (ESOCKET).' })
  })

  test.each(['x', '220-x\r\n', '220 ready\r\n250-'])('leaves a server that does not stop saying %j', async (words) => {
    await using server = await endless(words)

    const result = await send({ ...configAt(server.port), security: 'none' })

    expect(result).toEqual({ again: 'No mail could be handed to mail.example.com (EPROTOCOL).' })
    await server.left
  })

  test('leaves a server that greets with more than 64 KB', async () => {
    const greeting = '220-x\r\n'.repeat(20_000) // 140 KB, and there it stops
    const server = createServer((socket) => socket.on('error', () => {}).write(greeting))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0

    const result = await send({ ...configAt(port), security: 'none' })

    server.close()
    expect(result).toEqual({ again: 'No mail could be handed to mail.example.com (EPROTOCOL).' })
  })

  test('leaves a server that is silent when its job ends', async () => {
    await using server = await listening()
    const job = new AbortController()
    const sending = send(configAt(server.port), replied, job.signal)
    while (server.connections() === 0) await new Promise((resolve) => setImmediate(resolve))

    job.abort()

    expect(await sending).toEqual({ again: 'No mail could be handed to mail.example.com (EABORT).' })
    await server.left()
  })
})

describe('The config of the mail plugin', () => {
  const good = configAt(587)
  const taken: [string, Record<string, unknown>][] = [
    ['as it is', {}],
    ['credentials', credentials],
    ['no encryption without credentials', { security: 'none' }],
    ['an address of a host', { smtp_host: '::1' }],
  ]
  test.each(taken)('takes %s', (_, change) => {
    expect(configErrors(plugin, { ...good, ...change })).toEqual([])
  })

  const refused: [string, Record<string, unknown>, string][] = [
    ['credentials in the clear', { ...credentials, security: 'none' }, '/security'],
    ['a password for nobody', { password: 'canary' }, '/username'],
    ['a user without password', { username: 'canary' }, '/password'],
    ['a header in the sender', { from_email: 'ada@acme.example\r\nBcc: canary@example.com' }, '/from_email'],
    ['a line end after the sender', { from_email: 'ada@acme.example\n' }, '/from_email'],
    ['a name with the sender', { from_email: 'Canary <ada@acme.example>' }, '/from_email'],
    ['two recipients in one', { to: ['ada@acme.example,canary@example.com'] }, '/to/0'],
    ['a header in a recipient', { to: ['ada@acme.example', 'canary@example.com\r\nSubject: canary'] }, '/to/1'],
    ['a recipient that ends the command', { to: ['a>\r\nDATA@example.com'] }, '/to/0'],
    ['no recipients', { to: [] }, '/to'],
    ['too many recipients', { to: Array.from({ length: 21 }, (_, n) => `canary${n}@example.com`) }, '/to'],
    ['a URL for a host', { smtp_host: 'https://canary.example' }, '/smtp_host'],
    ['an address in disguise', { smtp_host: '0x7f000001' }, '/smtp_host'],
    ['a line end in the host', { smtp_host: 'mail.example.com\r\ncanary' }, '/smtp_host'],
    ['no port', { smtp_port: 0 }, '/smtp_port'],
    ['a field that there is not', { subject: 'canary' }, '/subject'],
  ]
  test.each(refused)('refuses %s, where it stands and without its value', (_, change, path) => {
    const errors = configErrors(plugin, { ...good, ...change })

    expect(errors.map((error) => error.path)).toEqual([path])
    expect(JSON.stringify(errors)).not.toMatch(/canary/i)
  })

  test('reads 100 KB of nearly an address at once', () => {
    const hostile = [`${'a'.repeat(100_000)}@`, `a@${'a.'.repeat(50_000)}`, `a@${'-'.repeat(100_000)}!`]
    const startedAt = performance.now()

    const errors = configErrors(plugin, { ...good, to: hostile })

    expect(performance.now() - startedAt).toBeLessThan(2000) // quadratic work takes longer
    expect(errors.map(({ path }) => path)).toEqual(['/to/0', '/to/1', '/to/2'])
  })
})

/** A port that nobody listens on any longer. */
async function closed() {
  await using server = await listening()
  return { port: server.port }
}

/** A server that says the same for as long as anybody listens; `left` resolves when nobody does. */
async function endless(words: string) {
  const left = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    const pour = () => {
      while (!socket.destroyed && socket.write(words.repeat(1000)));
    }
    socket.on('error', () => {})
    socket.on('close', () => left.resolve())
    socket.on('drain', pour)
    pour()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    left: left.promise,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}
