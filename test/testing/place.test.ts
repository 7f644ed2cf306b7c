import { expect, test } from 'bun:test'
import type { Session } from '../../src/database/session'
import type { Door } from '../../src/testing/door'
import { Ledger } from '../../src/testing/ledger'
import { Place } from '../../src/testing/place'
import type { RunDatabase } from '../../src/testing/run-database'

/** Connections to Postgres that note what they were asked, as many as there may be; `lose` ends those whose transactions are open. */
function noting(limit: number): { door: Door; asked: string[]; lose(): void } {
  const asked: string[] = []
  const waiting: (() => void)[] = []
  let free = limit
  const lost = new Set<(error: Error) => void>()
  let connections = 0
  const door: Door = {
    open: async () => {
      const inside = (name: string): Session => ({
        run: async ({ text }) => {
          asked.push(`${name}: ${text}`)
          return []
        },
        nest: (work) => work(inside(name)),
      })
      const session: Session = {
        run: async () => [],
        nest: async (work) => {
          if (free-- <= 0) await new Promise<void>((resolve) => waiting.push(resolve))
          const name = `${++connections}`
          asked.push(`${name}: begin`)
          const { promise, reject } = Promise.withResolvers<never>()
          lost.add(reject)
          return await Promise.race([work(inside(name)), promise]).finally(() => {
            asked.push(`${name}: over`)
            free++
            waiting.shift()?.()
          })
        },
      }
      return { session, close: async () => void asked.push('closed') }
    },
    enter: (_, work) => work(),
  }
  const lose = () => {
    for (const reject of lost) reject(new Error('The connection is gone.'))
  }
  return { door, asked, lose }
}

async function open(connections = 10) {
  const { door, asked, lose } = noting(connections)
  const run = { dialect: 'postgres', url: 'postgres://', create: async () => {}, freeze: async () => {} }
  const seed = async () => ({})
  const place = await Place.root(run as unknown as RunDatabase, door, async () => {}, seed)
  const isolate = () => place.isolate('savepoint', { name: 'a test', place: 'here' }, new Ledger())
  asked.splice(0)
  return { place, isolate, asked, lose }
}

const start = 'set local lock_timeout = 4000; savepoint kit_step'

// To roll back and to begin again would be two round trips of every test.
test('tests on Postgres that come one after the other have one transaction, rolled back in between', async () => {
  const { place, isolate, asked } = await open()

  for (let n = 0; n < 2; n++) await (await isolate()).end({ keep: false })
  await place.close()

  const again = `1: rollback and chain; ${start}`
  expect(asked).toEqual(['1: begin', `1: ${start}`, again, again, '1: over', 'closed'])
})

// now() would be when the test before it ended.
test('a test on Postgres that comes later begins its transaction when it comes', async () => {
  const { isolate, asked } = await open()
  await (await isolate()).end({ keep: false })
  await Bun.sleep(30)
  asked.splice(0)

  await isolate()

  expect(asked).toEqual([`1: rollback and chain; ${start}`])
})

test('tests on Postgres at the same time have a transaction each', async () => {
  const { isolate, asked } = await open()

  await Promise.all([isolate(), isolate()])

  expect(asked.sort()).toEqual(['1: begin', `1: ${start}`, '2: begin', `2: ${start}`])
})

test('a test on Postgres that waits for a connection gets that of the next one to end', async () => {
  const { isolate, asked } = await open(1)
  const first = await isolate()

  const second = isolate()
  await first.end({ keep: false })
  await second
  const third = isolate()
  const ended = (await second).end({ keep: false })
  await third
  await ended

  expect(asked.filter((text) => text.endsWith('begin'))).toEqual(['1: begin', '2: begin', '3: begin'])
})

test('a test on Postgres begins anew where the connection of those before it was lost', async () => {
  const { isolate, asked, lose } = await open()
  await (await isolate()).end({ keep: false })
  lose()
  await Bun.sleep(0)
  asked.splice(0)

  await isolate()

  expect(asked).toEqual(['2: begin', `2: ${start}`])
})

// The connection would stay in a transaction, and whoever closes it would wait for that.
test('a test on Postgres that ends after its place was closed leaves no transaction open', async () => {
  const { place, isolate, asked } = await open()
  const isolation = await isolate()
  await place.close()
  asked.splice(0)

  await isolation.end({ keep: false })

  expect(asked).toEqual(['1: over'])
})
