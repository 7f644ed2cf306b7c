import { Elysia, sse } from 'elysia'
import { events } from '../../src/testing'
import { describe, expect, test } from '../kit'
import { speakingWith } from './registered'

const app = new Elysia().get('/news', async function* () {
  yield sse('hello')
  yield sse({ event: 'count', data: { count: 2 } })
})

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
