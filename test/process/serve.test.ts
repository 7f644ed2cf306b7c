import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { connect as connectSocket, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect } from '../../src/database/database'
import { dialect } from '../../src/database/dialect'
import { read } from '../../src/testing'
import { chunk, completion, FakeProvider, type Turn } from '../fake-provider'
import { emptyDatabase, everything, rowsOf } from '../own-database'
import { asksAt, jwtSecret, type Served, seed, startServer, tenantry } from './program'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

function post(served: Served, token: string, body: object): Promise<Response> {
  const answer = fetch(`${served.url}/api/v1/chat`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  answer.catch(() => {}) // whoever awaits it is told; a test that failed before does not fail the next one
  return answer
}

/** A provider that takes one whole and one streamed question, begins the stream, and ends both when `release` is called. */
function holdingProvider() {
  const released = Promise.withResolvers<void>()
  const asked = { json: Promise.withResolvers<void>(), stream: Promise.withResolvers<void>() }
  const held: Turn = async ({ body }) => {
    if (!body.stream) {
      asked.json.resolve()
      await released.promise
      return Response.json(completion('whole'))
    }
    const encoder = new TextEncoder()
    const events = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(encoder.encode(chunk({ content: 'first ' })))
        asked.stream.resolve()
        await released.promise
        controller.enqueue(encoder.encode(chunk({ content: 'last' }) + chunk({}, { finish_reason: 'stop' })))
        controller.close()
      },
    })
    return new Response(events, { headers: { 'content-type': 'text/event-stream' } })
  }
  const provider = new FakeProvider().does(held, held)
  return {
    env: asksAt(provider),
    asked: { json: asked.json.promise, stream: asked.stream.promise },
    release: () => released.resolve(),
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  }
}

async function rawSocket(served: Served, text: string): Promise<{ socket: Socket; closed: Promise<unknown> }> {
  const socket = connectSocket(Number(new URL(served.url).port), '127.0.0.1')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write(text)
  return { socket, closed }
}

const nextData = (socket: Socket) => new Promise<string>((resolve) => socket.once('data', (data) => resolve(`${data}`)))

/** What a process that did not close its database would leave: SQLite's side files, or connections of Postgres. */
async function leftOpen(database: { url: string; folder: string }): Promise<unknown[]> {
  if (dialect === 'sqlite') return readdirSync(database.folder).filter((file) => file !== 'own.db')
  await using connection = connect(database.url)
  return await rowsOf(
    connection,
    'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  )
}

const modesIn = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]))

async function storedReplies(url: string) {
  await using connection = connect(url)
  const { messages = [] } = await everything(connection)
  return messages.filter(({ role }) => role === 'assistant').map(({ content, status }) => ({ content, status }))
}

describe('the start', () => {
  test('in production logs JSON, says where it listens, and is ready then', async () => {
    await using database = await emptyDatabase()
    await using served = await startServer({ DATABASE_URL: database.url })

    const ready = await read(await fetch(`${served.url}/health/ready`))

    await served.logged('answered')
    expect(ready).toMatchObject({ status: 200, body: { status: 'ready' } })
    const lines = served.log.map((line) => JSON.parse(line))
    expect(lines.map(({ message }) => message)).toEqual([
      'The database was migrated.',
      'No PROVIDER_BASE_URL is set: the built-in echo model answers.',
      'Tenantry listens.',
      'A request was answered.',
    ])
    expect(lines[2]).toMatchObject({ level: 'info', url: served.url, environment: 'production' })
  })

  test('lets Prometheus on the same machine read what happened so far', async () => {
    await using database = await emptyDatabase()
    await using served = await startServer({ DATABASE_URL: database.url })
    await fetch(`${served.url}/health`)

    const response = await fetch(`${served.url}/metrics`)

    const text = await response.text()
    expect(response.status).toBe(200)
    expect(text).toContain('_count{method="GET",route="/health",status="2xx"} 1\n')
    expect(text).toContain('\ntenantry_jobs{state="running"} 0\n')
  })

  test('in development makes a secret once and keeps it to itself', async () => {
    await using database = await emptyDatabase()
    await using inFolder = await emptyDatabase()
    const { tenant_id } = await seed(database.url)
    const env = { DATABASE_URL: database.url, TENANTRY_ENV: 'development', JWT_SECRET: '' }
    const options = { cwd: inFolder.folder }

    const first = await tenantry(['token', '--tenant=acme', '--user=ada'], env, options)
    await using served = await startServer(env, options)

    const me = await fetch(`${served.url}/api/v1/me`, { headers: { authorization: `Bearer ${first.out.trim()}` } })
    await served.logged('answered')
    expect(await read(me)).toMatchObject({ status: 200, body: { tenant: { id: tenant_id } } })
    const file = join(dialect === 'sqlite' ? database.folder : join(inFolder.folder, 'data'), '.jwt-secret')
    const secret = (await Bun.file(file).text()).trim()
    expect(Buffer.from(secret, 'base64')).toHaveLength(48)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(served.log.join('\n')).not.toContain(secret)
    expect(served.log.at(-2)).toMatch(/^info Tenantry listens\. url=http:\/\/127\.0\.0\.1:\d+ /)
  })

  test.if(dialect === 'sqlite')(
    "makes a database file that is nobody else's to read, and leaves another as it is",
    async () => {
      await using fresh = await emptyDatabase()
      await using shared = await emptyDatabase()
      writeFileSync(join(shared.folder, 'own.db'), '')
      chmodSync(join(shared.folder, 'own.db'), 0o660)

      await using one = await startServer({ DATABASE_URL: fresh.url })
      await using other = await startServer({ DATABASE_URL: shared.url })

      expect([one, other].map(({ log }) => log.length)).toEqual([3, 3])
      expect(modesIn(fresh.folder)).toEqual({ 'own.db': '600', 'own.db-shm': '600', 'own.db-wal': '600' })
      expect(modesIn(shared.folder)).toEqual({ 'own.db': '660', 'own.db-shm': '660', 'own.db-wal': '660' })
    },
  )

  test('is refused where plugins could not write their files', async () => {
    await using database = await emptyDatabase()
    const EXPORT_DIR = join(database.folder, 'exports')
    writeFileSync(EXPORT_DIR, 'a file, not a folder')
    const env = { DATABASE_URL: database.url, JWT_SECRET: jwtSecret, LOG_LEVEL: 'error', PORT: '0' }

    const refused = await tenantry(['serve'], { ...env, EXPORT_DIR })

    expect(refused).toEqual({
      code: 1,
      out: '',
      err: 'tenantry: EXPORT_DIR is not a folder that can be written to (EEXIST)\n',
    })
    const logged = { ...env, LOG_LEVEL: 'info' }
    await using served = await startServer({ ...logged, EXPORT_DIR: `${EXPORT_DIR}-of/tenants` })
    await using withoutJobs = await startServer({ ...logged, EXPORT_DIR, JOBS_CONCURRENCY: '0' })
    expect(modesIn(`${EXPORT_DIR}-of`)).toEqual({ tenants: '700' })
    for (const { url } of [served, withoutJobs]) expect((await fetch(`${url}/health/ready`)).status).toBe(200)
  })

  test('is given up upon a signal, also where no database answers', async () => {
    const reached = Promise.withResolvers<void>()
    using silent = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { open: () => reached.resolve(), data() {} } })
    const child = Bun.spawn([process.execPath, '--no-env-file', join(import.meta.dir, '../../src/cli.ts'), 'serve'], {
      env: { DATABASE_URL: `postgres://ada:pw@127.0.0.1:${silent.port}/chats`, JWT_SECRET: jwtSecret },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await reached.promise

    child.kill('SIGTERM')

    expect(await child.exited).toBe(0)
    const [line] = (await new Response(child.stderr).text()).split('\n')
    expect(JSON.parse(line ?? '')).toMatchObject({
      level: 'info',
      message: 'Ended before it listened.',
      signal: 'SIGTERM',
    })
  })

  test('ends with one line when the port is taken', async () => {
    await using database = await emptyDatabase()
    await using served = await startServer({ DATABASE_URL: database.url })
    const { port } = new URL(served.url)
    const env = { DATABASE_URL: database.url, JWT_SECRET: jwtSecret, LOG_LEVEL: 'error' }

    const second = await tenantry(['serve'], { ...env, PORT: port })

    expect(second).toMatchObject({ code: 1, out: '' })
    expect(second.err).toMatch(new RegExp(`^tenantry: [^\\n]*\\b${port}\\b[^\\n]*\\n$`))
    expect((await fetch(`${served.url}/health/ready`)).status).toBe(200)
  })
})

describe('an address that cannot be listened at', () => {
  test.each(['203.0.113.1', '1.2.3'])('is told in one line that names the variables: %s', async (HOST) => {
    await using database = await emptyDatabase()
    const env = { DATABASE_URL: database.url, JWT_SECRET: jwtSecret, LOG_LEVEL: 'error', PORT: '0' }

    const ran = await tenantry(['serve'], { ...env, HOST })

    expect(ran).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(
        /^tenantry: The server cannot listen on port 0; look at HOST and PORT; because: [^\n]+\n$/,
      ),
    })
  })
})

describe.if(process.platform === 'linux')('a log that cannot be written', () => {
  test('ends nothing', async () => {
    await using database = await emptyDatabase()
    const cli = join(import.meta.dir, '../../src/cli.ts')
    const child = Bun.spawn([process.execPath, cli, 'serve', '--demo'], {
      env: { DATABASE_URL: database.url, JWT_SECRET: jwtSecret, PORT: '0' },
      stdio: ['ignore', 'pipe', Bun.file('/dev/full')],
      timeout: 50_000,
      killSignal: 'SIGKILL',
    })
    let said = ''
    const decoder = new TextDecoder()
    for await (const bytes of child.stdout) {
      said += decoder.decode(bytes, { stream: true })
      if (said.includes('curl -s')) break
    }
    const [url] = /http:\/\/[\d.:]+/.exec(said) ?? []

    const statuses = [await fetch(`${url}/health/ready`), await fetch(`${url}/health`)].map(({ status }) => status)
    child.kill('SIGTERM')

    expect(statuses).toEqual([200, 200])
    expect(await child.exited).toBe(0)
  })
})

describe('a promise that fails and that nobody awaits', () => {
  test('is one line in the log and does not end the process', async () => {
    await using database = await emptyDatabase()
    const preload = join(database.folder, 'stray.ts')
    await Bun.write(preload, `process.on('SIGUSR2', () => { Promise.reject(new Error('A stray promise\\nfailed')) })`)
    await using served = await startServer({ DATABASE_URL: database.url }, { preload })

    served.kill('SIGUSR2')
    await served.logged('stray')

    const line = JSON.parse(served.log.find((each) => each.includes('stray')) ?? '')
    expect(line).toMatchObject({ level: 'error', message: 'Error: A stray promise\nfailed' })
    expect((await fetch(`${served.url}/health/ready`)).status).toBe(200)
  })
})

describe('the end', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    'upon %s lets running replies finish, takes no new connection, and closes the database',
    async (signal) => {
      await using database = await emptyDatabase()
      const { token } = await seed(database.url)
      await using provider = holdingProvider()
      await using served = await startServer({ DATABASE_URL: database.url, ...provider.env })
      const idle = await rawSocket(served, 'GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n')
      const readiness = await nextData(idle.socket)
      const json = post(served, token, { message: 'json' })
      const stream = post(served, token, { message: 'stream', stream: true })
      await Promise.all([provider.asked.json, provider.asked.stream])

      served.kill(signal)
      await idle.closed
      const refused = await fetch(`${served.url}/health/ready`, { keepalive: false }).catch((error) => error.code)
      provider.release()

      expect(readiness).toStartWith('HTTP/1.1 200 OK')
      expect(refused).toBe('ECONNREFUSED')
      expect(await read(await json)).toMatchObject({ status: 200, body: { response: 'whole' } })
      expect(await read(await stream)).toMatchObject({
        status: 200,
        body: [
          { event: 'token', data: { content: 'first ' } },
          { event: 'token', data: { content: 'last' } },
          { event: 'done', data: { response: 'first last' } },
        ],
      })
      expect(await served.exited).toBe(0)
      expect(JSON.parse(served.log.at(-1) ?? '')).toMatchObject({ level: 'info', message: 'Ended.' })
      expect(await leftOpen(database)).toEqual([])
      expect((await storedReplies(database.url)).map(({ status }) => status)).toEqual(['complete', 'complete'])
    },
  )

  test('cuts what outlives the grace: it is told so, once, and what came of it is stored', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    await using provider = holdingProvider()
    await using served = await startServer({ DATABASE_URL: database.url, SHUTDOWN_GRACE_MS: '50', ...provider.env })
    const json = post(served, token, { message: 'json' })
    const stream = post(served, token, { message: 'stream', stream: true })
    await Promise.all([provider.asked.json, provider.asked.stream])
    const streamed = await stream

    served.kill('SIGTERM')

    const cut = { code: 'provider_unavailable', detail: expect.stringContaining('interrupted because the server') }
    expect(await read(await json)).toMatchObject({ status: 503, headers: { 'retry-after': '1' }, body: cut })
    expect((await read(streamed)).body).toEqual([
      { event: 'token', data: { content: 'first ' } },
      { event: 'error', data: { ...cut, request_id: expect.any(String) } },
    ])
    expect(await served.exited).toBe(0)
    expect(await leftOpen(database)).toEqual([])
    const stored = await storedReplies(database.url)
    expect(stored.toSorted((a, b) => String(a.content).localeCompare(String(b.content)))).toEqual([
      { content: '', status: 'interrupted' },
      { content: 'first ', status: 'interrupted' },
    ])
  })

  test('does not wait for the grace when it is asked a second time', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    await using provider = holdingProvider()
    await using served = await startServer({ DATABASE_URL: database.url, SHUTDOWN_GRACE_MS: '600000', ...provider.env })
    const stream = await post(served, token, { message: 'stream', stream: true })
    await provider.asked.stream

    served.kill('SIGTERM')
    await served.logged('Ending')
    served.kill('SIGINT')

    expect((await read(stream)).body).toMatchObject([{ event: 'token' }, { event: 'error' }])
    expect(await served.exited).toBe(0)
    expect(await storedReplies(database.url)).toEqual([{ content: 'first ', status: 'interrupted' }])
  })

  test('comes although a caller never sends the rest of its request', async () => {
    await using database = await emptyDatabase()
    const { token } = await seed(database.url)
    await using served = await startServer({ DATABASE_URL: database.url, SHUTDOWN_GRACE_MS: '50' })
    const lines = ['POST /api/v1/chat HTTP/1.1', 'Host: localhost', `Authorization: Bearer ${token}`]
    const half = await rawSocket(
      served,
      `${lines.join('\r\n')}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{`,
    )
    const ready = await fetch(`${served.url}/health/ready`)

    served.kill('SIGTERM')

    await half.closed
    expect(ready.status).toBe(200)
    expect(await served.exited).toBe(0)
    expect(await leftOpen(database)).toEqual([])
  })
})
