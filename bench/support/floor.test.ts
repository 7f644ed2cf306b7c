import { test } from 'bun:test'
import { byHand, readFlow } from './by-hand'

/** Tests without framework, service and kit, for bench/suite.ts. */
const flow = await byHand(readFlow())

for (let n = 0; n < Number(process.env.BENCH_TESTS); n++)
  test(`creates, chats and lists ${n}`, async () => void (await flow()))
