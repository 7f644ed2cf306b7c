import { afterAll, test as anyTest, beforeAll, describe, expect, setDefaultTimeout } from 'bun:test'
import { connect as connectSocket, type Socket } from 'node:net'
import { connect } from '../../src/database/database'
import { read } from '../../src/testing'
import {
  answers,
  CuttingProvider,
  chunk,
  completion,
  FakeProvider,
  hangs,
  streamsThenDrips,
  streamsThenHangs,
  streamsWithoutEnd,
  type Turn,
} from '../fake-provider'
import { emptyDatabase, everything } from '../own-database'
import { asksAt, type Served, seed, startServer } from '../process/program'

// They share a service.
const test = anyTest.serial

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

/** So that a test need not wait for what a person would. */
const limits = {
  PROVIDER_TIMEOUT_MS: '2000',
  PROVIDER_FIRST_BYTE_TIMEOUT_MS: '300',
  PROVIDER_IDLE_TIMEOUT_MS: '300',
}

const hal = chunk({ content: 'Hal' })
const provider = new FakeProvider()
const database = await emptyDatabase()
let token = ''
let served: Served

beforeAll(async () => {
  token = (await seed(database.url)).token
  served = await startServer({ ...asksAt(provider), ...limits, DATABASE_URL: database.url })
  await chat(served, { message: 'Hello' }) // the first question loads the client, which is not what is measured here
})

afterAll(async () => {
  await served[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

describe('a service whose provider', () => {
  test.each<[string, Turn, string, string]>([
    ['hangs', hangs, 'provider_timeout', ''],
    ['falls silent in the middle', streamsThenHangs(hal), 'provider_timeout', 'Hal'],
    ['drips what is no event', streamsThenDrips(hal, 'd'), 'provider_timeout', 'Hal'],
    ['never ends', streamsWithoutEnd(hal, { everyMs: 50 }), 'provider_timeout', 'Hal'.repeat(2)],
    [
      'says that it streams, and sends a page',
      answers('<html>', { 'content-type': 'text/html' }),
      'provider_unavailable',
      '',
    ],
  ])(
    '%s ends the stream in an error in time, keeps what came, and serves the next caller',
    async (_, turn, code, kept) => {
      provider.does(turn)
      const startedAt = performance.now()

      const { status, body } = await read(await chat(served, { message: 'Hello', stream: true }))
      const tookMs = performance.now() - startedAt

      expect({ status, last: body.at(-1) }).toMatchObject({ status: 200, last: { event: 'error', data: { code } } })
      expect(tookMs).toBeLessThan(15_000)
      const last = (await replies(database.url)).at(-1)
      expect({ status: last?.status, begins: last?.content.startsWith(kept) }).toEqual({
        status: 'failed',
        begins: true,
      })
      expect(await read(await chat(served, { message: 'Hello' }))).toMatchObject({ status: 200 })
    },
  )

  test('cuts its answer in the middle gives a problem, and the next caller a reply', async () => {
    using cutting = new CuttingProvider(JSON.stringify(completion('whole')).slice(0, 40))
    await using own = await startServer({ ...asksAt(cutting), ...limits, DATABASE_URL: database.url })

    const cut = await read(await chat(own, { message: 'Hello' }))

    expect(cut).toMatchObject({ status: 502, body: { code: 'provider_unavailable' } })
    expect(await read(await fetch(`${own.url}/health/ready`))).toMatchObject({ status: 200 })
    expect(await read(await chat(served, { message: 'Hello' }))).toMatchObject({ status: 200 })
  })

  test('lies about tokens has them estimated: no use is negative or nothing', async () => {
    const lies = [{ prompt_tokens: -5, completion_tokens: 1e300 }, { prompt_tokens: 'many' }, null]
    provider.does(...lies.map((usage) => answers(JSON.stringify(completion('well', { usage })))))

    const told = []
    for (const _ of lies) told.push(await read(await chat(served, { message: 'Hello' })))

    expect(told.map(({ status }) => status)).toEqual([200, 200, 200])
    for (const { body } of told) {
      expect(body.usage.total_tokens).toBeGreaterThan(0)
      expect(body.usage.total_tokens).toBeLessThan(1000)
    }
  })
})

describe('a reader that stops reading', () => {
  test('does not keep the model talking, nor the process from serving others, once it is gone', async () => {
    const flood = chunk({ content: 'x'.repeat(10_000) })
    const asked = provider.asked.length
    provider.does(streamsWithoutEnd(flood))
    const socket = await silentReader(served, { message: 'Hello', stream: true })

    const others = await Promise.all(Array.from({ length: 5 }, () => chat(served, { message: 'Hello' }).then(read)))
    await provider.asked[asked]?.left
    socket.destroy()

    expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(await read(await chat(served, { message: 'Hello' }))).toMatchObject({ status: 200 })
  })
})

const chat = ({ url }: Served, body: object): Promise<Response> =>
  fetch(`${url}/api/v1/chat`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

/** Asks and never reads a byte of the answer. Resolves when the model was asked. */
async function silentReader({ url }: Served, body: object): Promise<Socket> {
  const text = JSON.stringify(body)
  const socket = connectSocket(Number(new URL(url).port), '127.0.0.1')
  socket.pause()
  socket.on('error', () => {})
  const begun = provider.nextAsked()
  socket.write(
    `POST /api/v1/chat HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  )
  await begun
  return socket
}

async function replies(url: string) {
  await using connection = connect(url)
  const { messages = [] } = await everything(connection)
  return (messages as { id: string; role: string; content: string; status: string }[])
    .filter(({ role }) => role === 'assistant')
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}
