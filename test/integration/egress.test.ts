import { EgressError } from '../../src/egress/egress'
import { deps, describe, expect, test } from '../kit'

const { egress } = deps

describe('The way out of a test', () => {
  test('leads to the answers that it scripted', async ({ http }) => {
    http.on('POST', 'https://hooks.example.com/services/T0', new Response('ok', { status: 202 }))

    const response = await egress.fetch('https://hooks.example.com/services/T0', { method: 'POST', body: '{"a":1}' })

    expect([response.status, await response.text()]).toEqual([202, 'ok'])
    expect(await Promise.all(http.sent.map((request) => request.json()))).toEqual([{ a: 1 }])
  })

  test('ends where nothing was scripted, and the test hears of it', async ({ takeErrors }) => {
    const fetching = egress.fetch('https://hooks.example.com/services/T1')

    expect(await fetching.catch((error: unknown) => error)).toBeInstanceOf(EgressError)
    expect(takeErrors()).toMatchObject([
      { message: expect.stringContaining('The app sent GET https://hooks.example.com/services/T1') },
    ])
  })

  test('leads to peers on this machine', async () => {
    await using peer = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('here') })

    const response = await egress.fetch(peer.url)

    expect([response.status, await response.text()]).toEqual([200, 'here'])
  })

  test('does not lead inside, even to what was scripted', async ({ http }) => {
    http.on('GET', 'http://169.254.169.254/', new Response('credentials'))

    const error = await egress.fetch('http://169.254.169.254/').catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ kind: 'refused' })
    expect(http.sent).toEqual([])
  })
})
