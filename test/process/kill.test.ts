import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { verifyRollups } from '../../src/analytics/verify'
import { connect } from '../../src/database/database'
import { asTenant } from '../../src/database/reach'
import { request_records } from '../../src/database/tables'
import { read } from '../../src/testing'
import { emptyDatabase, everything } from '../own-database'
import { type Served, seed, startServer } from './program'

// Starting twenty processes takes as long as the machine is busy.
setDefaultTimeout(120_000)

const kills = 20
const callers = 8
/** A conversation that grows for ever would make the last requests slower than the first. */
const turnsInOne = 10

/** What a caller was told with a 200: from then on it may rely on it. */
type Acknowledged = { conversation_id: string; message_id: string; message: string; response: string }
type Stored = { id: string; position: number; role: string; content: string; status: string }

describe('a server that is killed again and again', () => {
  test('has every message and reply that it acknowledged, whole, once and in order', async () => {
    await using database = await emptyDatabase()
    const { token, tenant_id } = await seed(database.url)
    await using servers = new AsyncDisposableStack()
    const start = async () => servers.use(await startServer({ DATABASE_URL: database.url }))
    const ledger: Acknowledged[] = []
    let unanswered = 0
    let running: Promise<Served> = start()
    let over = false

    const caller = async (name: string, stream: boolean) => {
      let conversation_id: string | undefined
      for (let turn = 1; !over; turn++) {
        const { url } = await running
        const message = `${name} says ${turn}`
        const acknowledged = await say(url, token, { message, stream, ...(conversation_id && { conversation_id }) })
        if (acknowledged) ledger.push(acknowledged)
        else unanswered++
        conversation_id = turn % turnsInOne === 0 ? undefined : (acknowledged?.conversation_id ?? conversation_id)
      }
    }
    const talking = Array.from({ length: callers }, (_, n) => caller(`caller ${n}`, n % 2 === 1))
    for (let kill = 0; kill < kills; kill++) {
      const server = await running
      const enough = ledger.length + Math.floor(Math.random() * 30)
      // Any moment will do; only that there is load must be sure.
      while (ledger.length <= enough) await Bun.sleep(Math.random() * 5)
      const next = Promise.withResolvers<Served>()
      running = next.promise
      server.kill('SIGKILL')
      await server.exited
      start().then(next.resolve, next.reject)
    }
    await running
    over = true
    await Promise.all(talking)
    // The last may end well, so that there are request records: a killed one loses those of its last second.
    const last = await running
    last.kill('SIGTERM')
    await last.exited

    const { messages, conversations, usage_records } = await contents(database.url)
    console.log(
      `${kills} kills: ${ledger.length} acknowledged, ${unanswered} not answered; ${messages.length} messages in ${conversations.length} conversations`,
    )
    expect(ledger.length).toBeGreaterThan(kills)
    expect(unanswered).toBeGreaterThan(0)
    for (const { id, message_count } of conversations) {
      const stored = messages
        .filter(({ conversation_id }) => conversation_id === id)
        .sort((a, b) => a.position - b.position)
      const told = ledger.filter(({ conversation_id }) => conversation_id === id)
      const texts = new Set(told.flatMap(({ message, response }) => [message, response]))

      expect(stored.map(({ position }) => position)).toEqual(stored.map((_, index) => index + 1))
      expect(message_count).toBe(stored.length)
      expect(stored.filter(({ content }) => texts.has(content)).map(whatWasSaid)).toEqual(
        told.flatMap(({ message, message_id, response }) => [
          { id: expect.any(String), role: 'user', content: message, status: 'complete' },
          { id: message_id, role: 'assistant', content: response, status: 'complete' },
        ]),
      )
    }
    const paidFor = usage_records.map(({ message_id }) => String(message_id))
    expect(new Set(paidFor).size).toBe(paidFor.length)
    expect(ledger.filter(({ message_id }) => !paidFor.includes(message_id))).toEqual([])
    const { requests, differences } = await verified(database.url, tenant_id)
    expect(requests).toBeGreaterThan(0)
    expect(differences).toEqual([])
  })
})

const whatWasSaid = ({ id, role, content, status }: Stored) => ({ id, role, content, status })

/** Undefined where no whole answer came. */
async function say(
  url: string,
  token: string,
  body: { message: string; stream: boolean; conversation_id?: string },
): Promise<Acknowledged | undefined> {
  try {
    const response = await fetch(`${url}/api/v1/chat`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = await read(response)
    const reply = body.stream
      ? answer.body.find(({ event }: { event: string }) => event === 'done')?.data
      : answer.status === 200
        ? answer.body
        : undefined
    return reply && { ...reply, message: body.message }
  } catch {
    return undefined
  }
}

/** What the rollups say beside what the records add up to; and how many records there are. */
async function verified(url: string, tenant_id: string) {
  await using connection = connect(url)
  return await asTenant(tenant_id, async () => ({
    requests: await connection.database.$count(request_records),
    differences: await verifyRollups(connection.database, tenant_id),
  }))
}

async function contents(url: string) {
  await using connection = connect(url)
  const all = await everything(connection)
  return {
    messages: (all.messages ?? []) as (Stored & { conversation_id: string })[],
    conversations: (all.conversations ?? []) as { id: string; message_count: number }[],
    usage_records: all.usage_records ?? [],
  }
}
