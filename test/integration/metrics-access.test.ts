import { describe, expect, test } from 'bun:test'
import { dialect } from '../../src/database/dialect'
import { isLoopback } from '../../src/metrics/routes'
import { echoProvider } from '../../src/providers/echo'
import { metricsToken } from '../kit'
import { ownService } from '../own-service'
import { bearer } from './token'

describe('GET /metrics over a socket', () => {
  test('is for this machine where there is no token, whatever headers say', async () => {
    await using service = await ownService(echoProvider, { metricsToken: undefined })
    const url = `${service.listen()}/metrics`

    const plain = await fetch(url)
    const claimed = await fetch(url, { headers: { 'x-forwarded-for': '203.0.113.7' } })

    expect([plain.status, claimed.status]).toEqual([200, 200])
    expect(await plain.text()).toContain('\ntenantry_database_up 1\n')
    expect(service.errors).toEqual([])
  })

  test('is for who sends the token where there is one, this machine or not', async () => {
    await using service = await ownService(echoProvider, { metricsToken })
    const url = `${service.listen()}/metrics`

    const responses = [
      await fetch(url),
      await fetch(url, { headers: service.headers }),
      await fetch(url, bearer(metricsToken)),
    ]

    expect(responses.map(({ status }) => status)).toEqual([401, 401, 200])
  })

  test('shows what the database has in use, and the process', async () => {
    await using service = await ownService(echoProvider, { metricsToken: undefined })
    const url = `${service.listen()}/metrics`

    const text = await (await fetch(url)).text()

    const names = [...text.matchAll(/^(tenantry_database_\w+(?:\{.*\})?) [1-9]/gm)].map(([, name]) => name)
    expect(names.sort()).toEqual(
      dialect === 'postgres'
        ? ['tenantry_database_connections_max', 'tenantry_database_up']
        : [
            'tenantry_database_file_bytes{file="database"}',
            'tenantry_database_file_bytes{file="wal"}',
            'tenantry_database_up',
          ],
    )
    expect(text).toMatch(/^process_resident_memory_bytes [1-9]\d{6,}$/m)
    expect(text).toMatch(/^process_cpu_seconds_total [\d.]+$/m)
  })
})

describe('This machine', () => {
  test.each([['127.0.0.1'], ['127.8.9.1'], ['::1'], ['::ffff:127.0.0.1']])('is %s', (address) => {
    expect(isLoopback(address)).toBe(true)
  })

  test.each([['10.0.0.1'], ['::ffff:10.0.0.1'], ['0.0.0.0'], ['fe80::1'], ['localhost'], [''], [undefined]])(
    'is not %s',
    (address) => {
      expect(isLoopback(address)).toBe(false)
    },
  )
})
