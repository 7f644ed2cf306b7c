import { Elysia, sse, t } from 'elysia'
import { events } from '../../src/testing'
import { describe, expect, test } from '../kit'
import { speakingWith } from './registered'

const app = new Elysia()
  .get('/news', async function* () {
    yield sse('hello')
    yield sse({ event: 'count', data: { count: 2 } })
  })
  .post('/file', async ({ body: { name, file } }) => ({ name, text: await file.text() }), {
    body: t.Object({ name: t.String(), file: t.File() }),
  })
  .post('/bytes', async ({ request }) => [...new Uint8Array(await request.arrayBuffer())], { parse: 'none' })
  .post('/form', ({ body, headers }) => ({ body, type: headers['content-type'] }))

describe('an event stream', () => {
  const told = [
    { event: 'message', data: 'hello' },
    { event: 'count', data: { count: 2 } },
  ]

  test('is the list of its events, of which not all have JSON to tell', async (all) => {
    const response = await speakingWith(app, all, {}).get('/news')

    expect(response).toMatchObject({ status: 200, body: told })
  })

  test('can be read event by event', async () => {
    const response = new Response('data: hello\n\nevent: count\ndata: {"count":2}\n\n')

    expect(await Array.fromAsync(events(response))).toEqual(told)
  })
})

describe('lines of JSON', () => {
  test.each([
    ['application/jsonl', '{"a":1}\n{"a":2}\n'],
    ['application/problem+json; charset=utf-8', { a: 1 }],
  ])('are text, and JSON is a value: %s', async (type, body, all) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const lines = new Elysia().get('/lines', () => new Response(text, { headers: { 'content-type': type } }))

    expect(await speakingWith(lines, all, {}).get('/lines')).toMatchObject({ body })
  })
})

describe('a path', () => {
  test.each(['news', 'http://localhost/news', ''])('that does not begin with / is refused: "%s"', async (path, all) => {
    const client = speakingWith(app, all, {})

    const asking = client.get(path)

    await expect(asking).rejects.toThrow(`The path "${path}" has to begin with /.`)
    expect((await client.get('/news')).status).toBe(200)
  })
})

describe('a body that is no JSON', () => {
  test('is a form with files', async (all) => {
    const form = new FormData()
    form.set('name', 'list')
    form.set('file', new File(['milk'], 'list.txt'))

    const response = await speakingWith(app, all, {}).post('/file', form)

    expect(response).toMatchObject({ status: 200, body: { name: 'list', text: 'milk' } })
  })

  test('is a form in an address', async (all) => {
    const response = await speakingWith(app, all, {}).post('/form', new URLSearchParams({ name: 'list' }))

    expect(response).toMatchObject({ body: { body: { name: 'list' } } })
    expect(response.body.type).toStartWith('application/x-www-form-urlencoded')
  })

  test.each([
    ['an array of bytes', new Uint8Array([1, 2, 3])],
    ['a buffer', new Uint8Array([1, 2, 3]).buffer],
    ['a blob', new Blob([new Uint8Array([1, 2, 3])])],
  ])('is %s', async (_, bytes, all) => {
    const response = await speakingWith(app, all, {}).post('/bytes', bytes)

    expect(response).toMatchObject({ status: 200, body: [1, 2, 3] })
  })
})
