import { afterAll } from 'bun:test'
import { Elysia } from 'elysia'
import { createKit, events, expect, openRunDatabase } from '../../src/testing'
import { add, createTables, door, query } from './fixtures/app'

const run = await openRunDatabase({ env: { TESTING_DATABASE_URL: process.env.TESTING_DATABASE_URL } })

const app = new Elysia()
  .get('/notes', () => query('select text from notes order by id'))
  .get('/events', async function* () {
    for (const { text } of await query('select text from notes order by id')) yield `data: "${text}"\n\n`
  })
  .ws('/live', {
    open: async (socket) => void socket.send({ notes: (await query('select text from notes')).length }),
    message: async (socket, text) => {
      await add(String(text))
      socket.send({ notes: (await query('select text from notes')).length })
    },
  })

const { test, close } = await createKit({
  run,
  door,
  app,
  prepare: (session) => createTables(session, run.dialect),
  seed: async () => ({ rows: await add('seeded') }),
})
afterAll(close)

for (const number of [1, 2]) {
  test.concurrent(`the app behind a socket has the database of its test: ${number}`, async ({ serve }) => {
    const { url } = await serve()
    await add(`of ${number}`)

    const response = await fetch(`${url}/notes`)

    expect(await response.json()).toEqual([{ text: 'seeded' }, { text: `of ${number}` }])
  })
}

test('a stream comes over the socket', async ({ serve }) => {
  const { url } = await serve()

  const response = await fetch(`${url}/events`, { headers: { accept: 'text/event-stream' } })

  const seen: unknown[] = []
  for await (const { data } of events(response)) seen.push(data)
  expect(seen).toEqual(['seeded'])
})

test('a WebSocket of Elysia asks the database of its test', async ({ serve }) => {
  const { url } = await serve()
  const socket = new WebSocket(`${url.replace('http', 'ws')}/live`)
  const said = messagesOf(socket)

  const first = (await said.next()).value
  socket.send('from afar')
  const second = (await said.next()).value

  expect([first, second]).toEqual([{ notes: 1 }, { notes: 2 }])
  expect(await query('select text from notes order by id')).toEqual([{ text: 'seeded' }, { text: 'from afar' }])
})

test('a second process reaches the test by its URL', async ({ serve, ledger }) => {
  const { url } = await serve()
  const program = `console.log((await fetch('${url}/notes')).status)`

  const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe', stderr: 'ignore' })

  expect(await new Response(child.stdout).text()).toBe('200\n')
  expect(ledger.requests).toMatchObject([{ method: 'GET', path: '/notes', status: 200 }])
})

test('nobody listens when it is stopped', async ({ serve }) => {
  const { url, stop } = await serve()
  const before = await fetch(`${url}/notes`)

  await stop()

  expect(before.status).toBe(200)
  await expect(fetch(`${url}/notes`)).rejects.toThrow('Unable to connect')
})

async function* messagesOf(socket: WebSocket): AsyncGenerator<unknown> {
  const arrived: unknown[] = []
  let wake = Promise.withResolvers<void>()
  socket.addEventListener('message', ({ data }) => {
    arrived.push(JSON.parse(data))
    wake.resolve()
  })
  for (;;) {
    if (arrived.length === 0) await wake.promise
    wake = Promise.withResolvers()
    yield arrived.shift()
  }
}
