import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { connect } from '../../src/database/database'
import { answers as answersWith, chunk, completion, data, FakeProvider, fails, says, type Turn } from '../fake-provider'
import { emptyDatabase, everything, rowsOf } from '../own-database'
import { asksAt, jwtSecret, type Served, seed, startServer } from './program'

// Starting a process takes as long as the machine is busy.
setDefaultTimeout(60_000)

const secrets = {
  provider: 'sk-canary-provider-0a1b2c3d4e5f',
  jwt: jwtSecret,
  metrics: 'canary-metrics-6a7b8c9d',
  encryption: 'Y2FuYXJ5LWVuY3J5cHRpb24ta2V5LTAwMDAwMDAwMDA=',
}
/** Stands in messages, prompts and titles: it belongs in the database and in answers, never in the log. */
const words = 'canary-words'
/** Sent where it is refused: it belongs nowhere. */
const refused = 'canary-refused'

const events = { 'content-type': 'text/event-stream' }
const quoting = { message: `Incorrect API key: ${secrets.provider}` }

/** How a provider fails; each quotes the key that it was given. */
const failures: Record<string, Turn> = {
  'status 401': fails(401, quoting),
  'status 429': fails(429, { ...quoting, headers: { 'retry-after': '0' } }),
  'status 500': fails(500, quoting),
  'a page': answersWith(`<html>${secrets.provider}`, { 'content-type': 'text/html' }),
  'broken JSON': answersWith(`{"key":"${secrets.provider}`),
  'a redirect': () =>
    new Response(null, { status: 302, headers: { location: `http://127.0.0.1:1/${secrets.provider}` } }),
  'a cut stream': answersWith(`${chunk({ content: 'half' })}data: ${secrets.provider}`, events),
  'an error in the stream': answersWith(data({ error: { ...quoting, code: 500 } }), events),
}

/** Ends a line, and moves the cursor of whoever reads it. */
const forged = '\r\n{"level":"error","message":"forged"}\u001b[2J'

type Answer = { what: string; status: number; text: string; requestId: string | null }

/** Sends one request and keeps all that came back. */
const sender =
  (served: Served, answers: Answer[]) =>
  async (
    what: string,
    method: string,
    path: string,
    { token, body, headers }: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(served.url + path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const seen = [...response.headers].map((header) => header.join(': '))
    const text = `${seen.join('\n')}\n${await response.text()}`
    answers.push({ what, status: response.status, text, requestId: response.headers.get('x-request-id') })
  }

describe('secrets', () => {
  test('stand in no log line, no answer and no column, whatever fails', async () => {
    await using database = await emptyDatabase()
    const { token, tenant_id } = await seed(database.url)
    await using provider = new FakeProvider()
    await using served = await startServer({
      ...asksAt(provider),
      DATABASE_URL: database.url,
      PROVIDER_API_KEY: secrets.provider,
      ENCRYPTION_KEY: secrets.encryption,
      LOG_LEVEL: 'debug',
      METRICS_TOKEN: secrets.metrics,
    })
    const answers: Answer[] = []
    const send = sender(served, answers)
    const chat = (message: string, more: object = {}) => ({ token, body: { message: `${words} ${message}`, ...more } })
    const unsigned = `${token.slice(0, -4)}AAAA`

    for (const [failure, turn] of Object.entries(failures)) {
      const turns = failure === 'status 429' ? [turn, turn] : [turn] // asked once more
      provider.does(...turns)
      await send(failure, 'POST', '/api/v1/chat', chat(failure))
      provider.does(...turns)
      await send(`${failure}, streamed`, 'POST', '/api/v1/chat', chat(failure, { stream: true }))
    }
    provider.does(says('fine'))
    await send('no failure', 'POST', '/api/v1/chat', chat('no failure'))
    await send('no token', 'GET', '/api/v1/me')
    await send('a forged token', 'GET', '/api/v1/me', { token: unsigned })
    await send('a token in the path', 'GET', `/api/v1/nothing?token=${token}&q=${refused}`)
    await send('a refused field', 'POST', '/api/v1/conversations', { token, body: { [refused]: refused } })
    await send('a refused value', 'POST', '/api/v1/conversations', { token, body: { title: [refused] } })
    await send('a body cut short', 'POST', '/api/v1/conversations', { token, body: `{"title":"${refused}` })
    await send('a refused id', 'GET', `/api/v1/conversations/${refused}`, { token })
    await send('a refused key', 'POST', '/api/v1/chat', {
      ...chat('x'),
      headers: { 'idempotency-key': `${refused} x` },
    })
    await send('kept words', 'POST', '/api/v1/conversations', { token, body: { title: words, system_prompt: words } })
    const odd = { 'user-agent': refused, cookie: refused, 'x-forwarded-for': refused, referer: refused }
    await send('odd headers', 'GET', '/api/v1/me', { token, headers: odd })
    await send('a request id that is none', 'GET', '/api/v1/me', { token, headers: { 'x-request-id': `${refused} x` } })
    await send('a wanted model that forges', 'POST', '/api/v1/chat', chat('x', { model: words + forged }))
    await send('a title that forges', 'POST', '/api/v1/conversations', { token, body: { title: words + forged } })
    provider.does(answersWith(JSON.stringify({ ...completion('well'), model: words + forged })))
    await send('a model that forges', 'POST', '/api/v1/chat', chat('x'))
    await using connection = connect(database.url)
    await rowsOf(connection, 'alter table messages rename to messages_gone')
    await send('a broken database', 'POST', '/api/v1/chat', chat('hello'))
    await send('a broken database, streamed', 'POST', '/api/v1/chat', chat('hello', { stream: true }))
    await send('metrics', 'GET', '/metrics', { token: secrets.metrics })
    await send('metrics with a token of a user', 'GET', '/metrics', { token })
    await send('metrics with half a token', 'GET', '/metrics', { token: secrets.metrics.slice(0, -1) })

    served.kill('SIGTERM')
    await served.exited // and has said all that it had to say

    const statuses = Object.fromEntries(answers.map(({ what, status }) => [what, status]))
    expect(statuses).toEqual({
      'status 401': 502,
      'status 401, streamed': 200,
      'status 429': 503,
      'status 429, streamed': 200,
      'status 500': 502,
      'status 500, streamed': 200,
      'a page': 502,
      'a page, streamed': 200,
      'broken JSON': 502,
      'broken JSON, streamed': 200,
      'a redirect': 502,
      'a redirect, streamed': 200,
      'a cut stream': 502,
      'a cut stream, streamed': 200,
      'an error in the stream': 502,
      'an error in the stream, streamed': 200,
      'no failure': 200,
      'no token': 401,
      'a forged token': 401,
      'a token in the path': 404,
      'a refused field': 422,
      'a refused value': 422,
      'a body cut short': 400,
      'a refused id': 404,
      'a refused key': 422,
      'kept words': 201,
      'odd headers': 200,
      'a request id that is none': 200,
      'a wanted model that forges': 200,
      'a title that forges': 201,
      'a model that forges': 200,
      'a broken database': 500,
      'a broken database, streamed': 500,
      metrics: 200,
      'metrics with a token of a user': 401,
      'metrics with half a token': 401,
    })
    const log = served.log.map((line) => JSON.parse(line))
    const keysTheProviderGot = new Set(provider.asked.map(({ headers }) => headers.get('authorization')))
    expect(keysTheProviderGot).toEqual(new Set([`Bearer ${secrets.provider}`]))
    const stored = JSON.stringify(await everything(connection))
    const [said, logged] = [answers.map(({ text }) => text).join('\n'), served.log.join('\n')]
    for (const secret of [...Object.values(secrets), token, token.split('.')[2] ?? '', unsigned]) {
      expect({
        secret,
        said: said.includes(secret),
        logged: logged.includes(secret),
        stored: stored.includes(secret),
      }).toEqual({
        secret,
        said: false,
        logged: false,
        stored: false,
      })
    }
    expect({ said: said.includes(words), logged: logged.includes(words), stored: stored.includes(words) }).toEqual({
      said: true,
      logged: false,
      stored: true,
    })
    expect([logged.includes(refused), stored.includes(refused)]).toEqual([false, false])
    const metrics = answers.find(({ what }) => what === 'metrics')?.text ?? ''
    expect([words, refused].filter((canary) => metrics.includes(canary))).toEqual([])
    expect(metrics).toContain('tenantry_provider_attempt_duration_seconds_count{outcome="failed"} 18\n')
    const broken = answers.find(({ what }) => what === 'a broken database, streamed')
    const requests = log.filter(({ message }) => message === 'A request was answered.')
    expect(requests.map(({ request_id }) => request_id).sort()).toEqual(
      answers.map(({ requestId }) => requestId).sort(),
    )
    expect(requests.find(({ request_id }) => request_id === broken?.requestId)).toEqual({
      time: expect.any(String),
      level: 'info',
      message: 'A request was answered.',
      request_id: broken?.requestId,
      tenant_id,
      method: 'POST',
      route: '/api/v1/chat',
      status: 500,
      ms: expect.any(Number),
    })
    expect(logged).not.toContain('forged')
    expect(log.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      expect.stringContaining('insert into "messages"'),
      expect.stringContaining('insert into "messages"'),
    ])
    // What strangers see of an error names no table, no product underneath, no version.
    const failed = answers.filter(({ status }) => status >= 400).map(({ text }) => text)
    expect(
      failed.filter((text) => /elysia|bun|sqlite|postgres|drizzle|typebox|insert into|\b\d+\.\d+\.\d+\b/i.test(text)),
    ).toEqual([])
  })
})
