import { afterAll, beforeAll, test as plain } from 'bun:test'
import { describe, expect, test } from '../../test/kit'
import { runDatabase } from '../../test/setup'
import { alone } from './alone'
import { byHand, readFlow } from './by-hand'

/** Started by bench/isolation.ts. Groups take turns, and each notes what it took. */
const tests = Number(process.env.BENCH_TESTS)
const rounds = Number(process.env.BENCH_ROUNDS)
const msPerTest: Record<string, number[]> = {}
const handWritten = await byHand(readFlow())
const serviceAlone = await alone()

const groups: Record<string, (name: string) => void> = {
  plain: (name) => plain(name, () => {}),
  empty: (name) => test(name, () => {}),
  fork: (name) => test(name, { isolation: 'fork' }, () => {}),
  hand: (name) => plain(name, async () => void (await handWritten())),
  alone: (name) => plain(name, async () => void (await serviceAlone())),
  create: (name) =>
    test(name, async ({ adminA }) => {
      const created = await adminA.post('/api/v1/conversations', { title: 'Q3 planning' })
      expect(created.status).toBe(201)
    }),
  chat: (name) =>
    test(name, async ({ adminA, model }) => {
      model.says('Hello there', { prompt_tokens: 3, completion_tokens: 2 })
      const reply = await adminA.post('/api/v1/chat', { message: 'Hello' })
      expect(reply.status).toBe(200)
    }),
  list: (name) =>
    test(name, async ({ adminA }) => {
      const list = await adminA.get('/api/v1/conversations')
      expect(list.status).toBe(200)
    }),
}

groups.flow = (name) =>
  test(name, async ({ adminA, model }) => {
    model.says('Hello there', { prompt_tokens: 3, completion_tokens: 2 })
    const created = await adminA.post('/api/v1/conversations', { title: 'Q3 planning' })
    const reply = await adminA.post('/api/v1/chat', { message: 'Hello', conversation_id: created.body.id })
    const list = await adminA.get('/api/v1/conversations')
    expect([created.status, reply.status, list.status]).toEqual([201, 200, 200])
  })

/** Copies of a database on a server take a hundred times as long as anything else here. */
const testsIn = (group: string) => (group === 'fork' && runDatabase.dialect === 'postgres' ? tests / 10 : tests)

// The first round warms up.
for (let round = 0; round <= rounds; round++) {
  for (const [group, define] of Object.entries(groups)) {
    describe(`${group} ${round}`, () => {
      let startedAt = 0
      beforeAll(() => {
        startedAt = performance.now()
      })
      afterAll(() => {
        const ms = (performance.now() - startedAt) / testsIn(group)
        if (round > 0) msPerTest[group] = [...(msPerTest[group] ?? []), ms]
      })
      for (let n = 0; n < testsIn(group); n++) define(`test ${n}`)
    })
  }
}

afterAll(async () => void (await Bun.write(process.env.BENCH_RESULTS ?? '', JSON.stringify(msPerTest))))
