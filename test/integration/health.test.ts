import { Lifetime } from '../../src/lifetime'
import { deps, describe, expect, test } from '../kit'
import { strangerTo } from '../speaking'

const unreachable = async () => {
  throw new Error('connect ECONNREFUSED 10.0.0.5:5432 user=tenantry')
}

describe.each([['/health'], ['/health/live']])('GET %s', (path) => {
  test('tells anybody that the process runs, and for how long', async ({ anonymous }) => {
    const response = await anonymous.get(path)

    expect(response.status).toBe(200)
    expect(response.body).toEqual({ status: 'healthy', version: '0.0.0-test', uptime_seconds: expect.any(Number) })
  })

  test('does not ask the database', async () => {
    const asked: string[] = []
    const stranger = strangerTo({
      ping: async () => void asked.push('ping'),
      database: new Proxy(deps.database, { get: (_, name) => asked.push(String(name)) }),
    })

    const response = await stranger.get(path)

    expect(response.status).toBe(200)
    expect(asked).toEqual([])
    expect(await stranger.get('/health/ready')).toMatchObject({ status: 200 })
    expect(asked).toEqual(['ping'])
  })

  test('stays healthy while the process drains, so that nobody kills it early', async () => {
    const lifetime = new Lifetime(() => {})
    lifetime.drain()

    const response = await strangerTo({ lifetime }).get(path)

    expect(response).toMatchObject({ status: 200, body: { status: 'healthy' } })
  })
})

describe('GET /health/ready', () => {
  test('is ready when the database answers', async ({ anonymous }) => {
    const response = await anonymous.get('/health/ready')

    expect(response.status).toBe(200)
    expect(response.body).toEqual({ status: 'ready' })
  })

  test.each<[string, () => Promise<void>]>([
    ['refuses', unreachable],
    ['hangs', () => new Promise(() => {})],
  ])('is not ready when the database %s, and does not say why', async (_what, ping) => {
    const response = await strangerTo({ ping }).get('/health/ready')

    expect(response.status).toBe(503)
    expect(response.body).toEqual({ status: 'not_ready' })
    expect(await strangerTo({}).get('/health/ready')).toMatchObject({ status: 200 })
  })

  test('is not ready once the process drains', async () => {
    const lifetime = new Lifetime(() => {})
    const stranger = strangerTo({ lifetime })
    const before = await stranger.get('/health/ready')

    lifetime.drain()

    expect(before).toMatchObject({ status: 200, body: { status: 'ready' } })
    expect(await stranger.get('/health/ready')).toMatchObject({ status: 503, body: { status: 'not_ready' } })
  })
})
