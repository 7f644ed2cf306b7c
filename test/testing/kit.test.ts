import { afterAll, describe as bunDescribe, test as bunTest, expect } from 'bun:test'
import { add, query, transaction } from './fixtures/app'
import { made, ownKit, settled } from './own-kit'

const { test, describe } = ownKit

const texts = async () => (await query('select text from notes order by id')).map(({ text }) => text)

describe('what a test is given', () => {
  test('is made when its parameter names it, and no sooner', async ({ alice }) => {
    await alice.get('/notes')

    expect(made).toContain('alice')
    expect(made).not.toContain('costly')
  })

  test('is the same however often it is named', (fixtures) => {
    const [one, two] = [fixtures.alice, fixtures.alice]

    expect(one).toBe(two)
  })
})

describe('options', () => {
  test('stand after the body', { isolation: 'fork' }, async () => expect(await texts()).toEqual(['seeded']))
  test('stand before the body', async () => expect(await texts()).toEqual(['seeded']), { isolation: 'fork' })
  test('may be a time limit alone', async () => expect(await texts()).toEqual(['seeded']), 1000)
  test.each([1])('stand before the body of a row: %s', { timeout: 1000 }, (row) => expect(row).toBe(1))
  test.each([1])('stand after the body of a row: %s', (row) => expect(row).toBe(1), { timeout: 1000 })
})

describe('the app', () => {
  test.serial('is told whether a test waits for it, or is over', async ({ settle, rewind }) => {
    settled.length = 0
    await settle()
    await rewind(async () => {})

    expect(settled).toEqual([false, false, false]) // before what is rewound, and in it
  })

  afterAll(() => expect(settled).toEqual([false, false, false, true]))
})

describe('a rewind', () => {
  test('fails as what is done in it fails, and undoes it', async ({ rewind }) => {
    const failed = await rewind(async () => {
      await add('undone')
      throw new Error('mine')
    }).catch((error: Error) => error.message)

    expect(failed).toBe('mine')
    expect(await texts()).toEqual(['seeded'])
  })

  test('and requests beside it wait for each other', async ({ alice, rewind }) => {
    const add = () => alice.post('/notes', { text: 'beside' })
    const inside = () =>
      rewind(async () => {
        await alice.post('/notes', { text: 'inside' })
        return await texts()
      })

    const [before, rewound, after] = await Promise.all([add(), inside(), alice.get('/notes')])

    expect([before.status, after.status]).toEqual([200, 200])
    expect(rewound).toContain('inside')
    expect(await texts()).toEqual(['seeded', 'beside'])
  })

  test('undoes nothing of what was begun before it', async ({ alice, rewind }) => {
    await alice.get('/note-later')

    const inside = await rewind(texts)

    expect(inside).toEqual(['seeded', 'later'])
    expect(await texts()).toEqual(['seeded', 'later'])
  })
})

describe('the ledger', () => {
  for (const isolation of ['savepoint', 'fork'] as const) {
    test(`says what was undone with its transaction: ${isolation}`, { isolation }, async ({ ledger }) => {
      await transaction((query) => query(`insert into notes (text) values ('kept')`))
      const failed = transaction(async (query) => {
        await query(`insert into notes (text) values ('undone')`)
        throw new Error('mine')
      })
      await failed.catch(() => {})

      const kept = ledger.own.map(({ text, undone }) => [/'(\w+)'/.exec(text)?.[1], undone ?? false])

      expect(kept).toEqual([
        ['kept', false],
        ['undone', true],
      ])
      expect(ledger.format()).toMatch(/\('undone'\) \([\d.]+ ms\) undone$/)
    })
  }

  test('says so of what COMMIT refused', async ({ ledger }) => {
    const refused = transaction((query) => query('insert into replies (note_id) values (99)'))
    await refused.catch(() => {})

    expect(ledger.own).toMatchObject([{ text: 'insert into replies (note_id) values (99)', undone: true }])
  })
})

describe('work that nobody awaits', () => {
  for (const isolation of ['savepoint', 'fork'] as const) {
    test(`is waited for from one statement to the next: ${isolation}`, { isolation }, async ({ settle, http }) => {
      http.on('POST', 'https://hooks.example/notes', new Response())
      const work = async () => {
        for (const text of ['one', 'two', 'three']) {
          await add(text)
          await fetch('https://hooks.example/notes', { method: 'POST' })
        }
      }

      void work()
      await settle()

      expect(await texts()).toEqual(['seeded', 'one', 'two', 'three'])
      expect(http.sent).toHaveLength(3)
    })
  }
})

describe('work in the background', () => {
  test("is waited for, and is nobody's request", async ({ alice, settle, ledger }) => {
    await alice.get('/note-in-background')
    await settle()

    expect(await texts()).toEqual(['seeded', 'in the background'])
    expect(ledger.requests).toMatchObject([{ path: '/note-in-background', statements: [] }])
  })
})

describe('an answer scripted for a request of the app', () => {
  test('stands until there is another for the same one', async ({ alice, http }) => {
    http.on('POST', 'https://hooks.example/notes', new Response('', { status: 200 }))
    const before = [await alice.post('/notify'), await alice.post('/notify')]
    http.on('POST', 'https://hooks.example/notes', new Response('', { status: 503 }))

    const after = await alice.post('/notify')

    expect(before).toMatchObject([{ body: '200' }, { body: '200' }])
    expect(after).toMatchObject({ body: '503' })
  })

  test('is found however its method and address are written', async ({ http }) => {
    http.on('patch', 'HTTPS://Hooks.example', new Response('found'))

    const response = await fetch('https://hooks.example/', { method: 'PATCH' })

    expect(await response.text()).toBe('found')
  })

  test('is waited for as long as the app wants it', async ({ http }) => {
    const url = 'https://hooks.example/slow'
    http.on('GET', url, () => new Promise<Response>(() => {}))
    const outcome = (signal: AbortSignal) =>
      fetch(url, { signal }).then(
        () => 'answered',
        (error: Error) => error.name,
      )

    const outcomes = [await outcome(AbortSignal.timeout(5)), await outcome(AbortSignal.abort())]

    expect(outcomes).toEqual(['TimeoutError', 'AbortError'])
    expect(http.sent).toHaveLength(1)
  })

  test('needs a whole address', ({ http }) => {
    expect(() => http.on('GET', '/notes', new Response())).toThrow('http.on takes a whole URL, and /notes is none.')
  })
})

const runs: string[] = []

describe.serial.serial('the order of tests', () => {
  const running = { now: 0, most: 0 }
  const measured = async () => {
    running.now++
    running.most = Math.max(running.most, running.now)
    await new Promise((resolve) => setTimeout(resolve, 20))
    running.now--
  }
  test.serial.concurrent('is what was said last', measured)
  test.serial.concurrent('for one and for the other', measured)
  afterAll(() => expect(running.most).toBeGreaterThan(1)) // of three, in any order

  describe.concurrent('of a group', () => {
    test('is what the group says', measured)
    test.concurrent.serial('or the test itself', async () => {
      await measured()
      expect(running.now).toBe(0)
    })
  })
})

describe('the modifiers of bun:test', () => {
  test.skip('skip', () => void runs.push('skip'))
  test.todo('todo')
  test.todo('todo with a body', () => void runs.push('todo'))
  test.if(false)('if', () => void runs.push('if'))
  test.skipIf(true)('skipIf', () => void runs.push('skipIf'))
  test.todoIf(true)('todoIf', () => void runs.push('todoIf'))
  test.if(true)('if it is so', ({ seeded }) => void runs.push(seeded.text))
  test.failing('failing', async () => {
    await add('seeded')
  })
  test.serial('serial', async () => expect(await texts()).toEqual(['seeded']))
  test.serial.each([1])('serial.each', (row) => expect(row).toBe(1))
  test.concurrent.each([1])('concurrent.each', (row) => expect(row).toBe(1))
  describe.skip('describe.skip', () => test('a test', () => void runs.push('describe.skip')))
  describe.if(false)('describe.if', () => test('a test', () => void runs.push('describe.if')))
  describe.todo('describe.todo')

  afterAll(() => expect(runs).toEqual(['seeded']))
})

describe('rows', () => {
  test.each([
    [1, 'one'],
    [2, 'two'],
  ])('that are lists are spread, the fixtures come last: %s', (number, name, { seeded }) => {
    expect([number, name, seeded.text]).toEqual([number, number === 1 ? 'one' : 'two', 'seeded'])
  })

  test.each(['a', 'b'])('that are values come alone: %s', (letter, { seeded }) => {
    expect([letter.length, seeded.text]).toEqual([1, 'seeded'])
  })

  test.each([{ name: 'a' }])('that are objects come alone: $name', ({ name }, { seeded }) => {
    expect([name, seeded.text]).toEqual(['a', 'seeded'])
  })

  const seed = async () => ({ added: await add('of the group').then(texts) })

  describe.each([['a'], ['b']])('of groups: %s', { seed }, (letter) => {
    test('start from the rows of the group', async () => {
      await add(letter)

      expect(await texts()).toEqual(['seeded', 'of the group', letter])
    })
  })
})

const seeds: string[] = []
const seedOf = (name: string) => async () => {
  seeds.push(name)
  await add(name)
  return { [name]: name }
}

describe('a group with rows of its own', { seed: seedOf('outer') }, (test) => {
  bunDescribe('and a group of bun:test inside', () => {
    test('starts from them there too', async () => expect(await texts()).toEqual(['seeded', 'outer']))
  })

  describe('and a group inside', { seed: seedOf('inner') }, (test) => {
    for (const number of [1, 2]) {
      test(`starts from both: ${number}`, async () => {
        await add('of a test')

        expect(await texts()).toEqual(['seeded', 'outer', 'inner', 'of a test'])
      })

      test.concurrent(`starts from both, beside others: ${number}`, async () => {
        await add(`of concurrent ${number}`)

        expect(await texts()).toEqual(['seeded', 'outer', 'inner', `of concurrent ${number}`])
      })
    }

    test('has them in a fork', { isolation: 'fork' }, async () => {
      expect(await texts()).toEqual(['seeded', 'outer', 'inner'])
    })
  })

  test('does not have those of the group inside', async () => {
    await add('of another test')

    expect(await texts()).toEqual(['seeded', 'outer', 'of another test'])
  })
})

const countSeed = async () => ({ count: 1 })
const doubleSeed = async ({ count }: { count: number }) => ({ double: count * 2 })

describe('what a group hands to its body', { seed: countSeed }, (_, describe) => {
  describe('is typed by its rows', { seed: doubleSeed }, (test) => {
    test('and those around it', ({ count, double }) => {
      const sum: number = count + double
      expect(sum).toBe(3)
    })
  })

  describe.each([[10], [20]])('stands in groups of rows: %d', (...row: unknown[]) => {
    const [factor] = row as [number]
    bunTest('of which each is handed its row alone', () => expect(row).toHaveLength(1))

    describe('which it is asked for', { seed: doubleSeed }, (test) => {
      test('inside them', ({ count, double }) => expect([factor, count, double]).toEqual([factor, 1, 2]))
    })
  })

  bunDescribe('belongs to the group', () => {
    describe('inside one of bun:test too', { seed: doubleSeed }, (test) => {
      test('where it was handed in', ({ double }) => expect(double).toBe(2))
    })
  })
})

const around: string[] = []
const outer = {
  beforeEach: async () => void around.push(`outer before: ${(await texts()).length}`),
  afterEach: async () => void around.push(`outer after: ${(await texts()).length}`),
}
const inner = {
  beforeEach: async () => void (await add('of a hook')),
  afterEach: () => void around.push('inner after'),
}

describe('hooks of the kit', outer, () => {
  describe('run in the world of the test', inner, () => {
    test('around its body', async () => {
      expect(await texts()).toEqual(['seeded', 'of a hook'])
    })
  })

  afterAll(() => expect(around).toEqual(['outer before: 1', 'inner after', 'outer after: 2']))
})

describe('requests at the same time', () => {
  test('have their transactions one after the other, and none undoes what another kept', async ({ alice }) => {
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

    const results = await Promise.allSettled([
      ...numbers.map((number) => alice.post('/notes', { text: `request ${number}` })),
      ...numbers.map((number) =>
        transaction(async (inner) => {
          await inner(`insert into notes (text) values ('transaction ${number}')`)
          if (number % 2 === 0) throw new Error('undone')
        }),
      ),
    ])

    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(5)
    expect(await texts()).toHaveLength(1 + 10 + 5)
  })
})
