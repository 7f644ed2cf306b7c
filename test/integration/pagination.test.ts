import { type Client, expectQueries } from '../../src/testing'
import { describe, expect, test } from '../kit'

type Titled = { title: string }
const titles = (body: Titled[]) => body.map(({ title }) => title)
const nextOf = (headers: Record<string, string>) => /^<(\S+)>; rel="next"$/.exec(headers.link ?? '')?.[1]

async function create(client: Client, ...names: string[]) {
  for (const title of names) await client.post('/api/v1/conversations', { title })
}

/** Pages as they come when every `next` is followed; `between` happens after the first. */
async function follow(client: Client, path: string, between = async () => {}): Promise<string[][]> {
  const pages: string[][] = []
  for (let next: string | undefined = path; next !== undefined; ) {
    const { body, headers } = await client.get(next)
    pages.push(titles(body))
    if (pages.length === 1) await between()
    next = nextOf(headers)
  }
  return pages
}

describe('a list of conversations in pages', () => {
  test('ends where the next links end, with every row once', async ({ operatorA }) => {
    await create(operatorA, 'a', 'b', 'c', 'd', 'e')

    const pages = await follow(operatorA, '/api/v1/conversations?limit=2')

    expect(pages).toEqual([['e', 'd'], ['c', 'b'], ['a']])
  })

  test('has no next link on a last page that is full', async ({ operatorA }) => {
    await create(operatorA, 'a', 'b', 'c', 'd')

    const pages = await follow(operatorA, '/api/v1/conversations?limit=2')

    expect(pages).toEqual([
      ['d', 'c'],
      ['b', 'a'],
    ])
  })

  test('skips and repeats nothing when rows come and go meanwhile', async ({ adminA }) => {
    await create(adminA, 'a', 'b', 'c', 'd')
    const { body: newest } = await adminA.get('/api/v1/conversations?limit=1')

    const pages = await follow(adminA, '/api/v1/conversations?limit=2', async () => {
      await create(adminA, 'e')
      await adminA.delete(`/api/v1/conversations/${newest[0].id}`)
    })

    expect(pages).toEqual([
      ['d', 'c'],
      ['b', 'a'],
    ])
  })

  test('keeps the other parameters in the next link', async ({ operatorA }) => {
    await create(operatorA, 'plan a', 'plan b', 'other', 'plan c')

    const response = await operatorA.get('/api/v1/conversations?limit=1&include_archived=true&q=plan')

    expect(response).toMatchObject({ status: 200, headers: { 'x-total-count': '3' }, body: [{ title: 'plan c' }] })
    expect(nextOf(response.headers)).toStartWith('/api/v1/conversations?limit=1&include_archived=true&q=plan&cursor=')
    expect(await follow(operatorA, `${nextOf(response.headers)}`)).toEqual([['plan b'], ['plan a']])
  })

  test('goes on by offset when it began by offset', async ({ operatorA }) => {
    await create(operatorA, 'a', 'b', 'c', 'd', 'e')

    const { headers } = await operatorA.get('/api/v1/conversations?limit=2&offset=0')

    expect(headers.link).toBe('</api/v1/conversations?limit=2&offset=2>; rel="next"')
    expect(await follow(operatorA, '/api/v1/conversations?limit=2&offset=0')).toEqual([['e', 'd'], ['c', 'b'], ['a']])
  })

  test('counts an offset from the cursor when both are given', async ({ operatorA }) => {
    await create(operatorA, 'a', 'b', 'c', 'd', 'e')
    const first = await operatorA.get('/api/v1/conversations?limit=1')

    const response = await operatorA.get(`${nextOf(first.headers)}&offset=1`)

    expect(response).toMatchObject({ status: 200, body: [{ title: 'c' }], headers: { 'x-total-count': '5' } })
  })

  test('tells how many there are also where none is left', async ({ operatorA }) => {
    await create(operatorA, 'a', 'b')
    await operatorA.patch(`/api/v1/conversations/${(await operatorA.post('/api/v1/conversations', {})).body.id}`, {
      is_archived: true,
    })
    const first = await operatorA.get('/api/v1/conversations?limit=1')

    const beyond = ['?offset=2', '?offset=2&include_archived=true', '?offset=3&include_archived=true']
    const answers = await Promise.all(beyond.map((query) => operatorA.get(`/api/v1/conversations${query}`)))
    const behind = await operatorA.get(`${nextOf(first.headers)}&offset=1`)

    expect([...answers, behind].map(({ body, headers }) => [titles(body), headers['x-total-count']])).toEqual([
      [[], '2'],
      [['a'], '3'],
      [[], '3'],
      [[], '2'],
    ])
  })

  test('asks the database once, beside who it is', async ({ operatorA }) => {
    await create(operatorA, 'a', 'b', 'c')

    const some = await expectQueries(2, () => operatorA.get('/api/v1/conversations?limit=2'))
    const none = await expectQueries(2, () => operatorA.get('/api/v1/conversations?include_archived=true&limit=2'))

    expect([some, none].map(({ headers }) => headers['x-total-count'])).toEqual(['3', '3'])
  })

  test('has 20 rows when nobody says how many', async ({ operatorA }) => {
    await create(operatorA, ...Array.from({ length: 21 }, (_, at) => `n${at}`))

    const response = await operatorA.get('/api/v1/conversations')

    expect(response.body).toHaveLength(20)
    expect(response.headers).toMatchObject({ 'x-total-count': '21' })
    expect(await follow(operatorA, `${nextOf(response.headers)}`)).toEqual([['n0']])
  })

  test("shows only the caller's rows for a cursor of another tenant", async ({ adminA, adminB, clock }) => {
    await create(adminB, 'ours, older')
    clock.advance({ seconds: 1 })
    await create(adminA, 'theirs, older', 'theirs, newer')
    clock.advance({ seconds: 1 })
    await create(adminB, 'ours, newer')
    const { headers } = await adminA.get('/api/v1/conversations?limit=1')

    const response = await adminB.get(`${nextOf(headers)}`)

    expect(response).toMatchObject({ status: 200, body: [{ title: 'ours, older' }], headers: { 'x-total-count': '2' } })
    expect(await adminA.get(`${nextOf(headers)}`)).toMatchObject({ status: 200, body: [{ title: 'theirs, older' }] })
  })
})

describe.each([['/api/v1/conversations'], ['/api/v1/admin/users']])('the page that is asked of %s', (path) => {
  const bounds = { limit: 'must be a whole number from 1 to 100', offset: 'must be a whole number from 0 to 1000000' }
  const wrong = { limit: ['0', '101', '-1', '1.5', 'x', '', '0x10', '1e1', ' 5'], offset: ['-1', '1000001', '1e999'] }

  test.each([
    ...wrong.limit.map((value) => ['limit', value] as const),
    ...wrong.offset.map((value) => ['offset', value] as const),
  ])('cannot have %s=%s', async (name, value, { adminA }) => {
    const response = await adminA.get(`${path}?${name}=${encodeURIComponent(value)}`)

    const errors = [{ in: 'query', path: `/${name}`, message: bounds[name] }]
    expect(response).toMatchObject({ status: 422, body: { code: 'invalid_request', errors } })
    expect(await adminA.get(`${path}?limit=1&offset=0`)).toMatchObject({ status: 200 })
  })

  test.each([['limit=1'], ['limit=100'], ['offset=0'], ['offset=1000000']] as const)(
    'can have %s',
    async (query, { adminA }) => {
      const response = await adminA.get(`${path}?${query}`)

      expect(response.status).toBe(200)
    },
  )

  test.each([
    ['zzz'],
    [''],
    [Buffer.from('-'.repeat(36)).toString('base64url')],
    [Buffer.from("' or 1=1 --").toString('base64url')],
    [Buffer.from('019CADC6-9A80-7000-8000-000000000000').toString('base64url')],
  ] as const)('cannot begin at the cursor "%s", which no link gave', async (cursor, { adminA }) => {
    const response = await adminA.get(`${path}?cursor=${cursor}`)

    const errors = [{ in: 'query', path: '/cursor', message: 'is not a cursor that a Link header gave' }]
    expect(response).toMatchObject({ status: 422, body: { errors } })
    expect(await adminA.get(path)).toMatchObject({ status: 200 })
  })
})

describe('a list of users in pages', () => {
  test('ends where the next links end, with every row once', async ({ adminA }) => {
    const names = async (path: string) => {
      const { body, headers } = await adminA.get(path)
      return { page: body.map((user: { external_id: string }) => user.external_id), next: nextOf(headers) }
    }

    const first = await names('/api/v1/admin/users?limit=2')
    const second = await names(`${first.next}`)

    expect([first.page, second.page, second.next]).toEqual([['vera', 'olivia'], ['ada'], undefined])
  })
})
