import { app, describe, expect, test } from '../kit'

const routes = app.routes
  .filter(({ method }) => method !== 'OPTIONS')
  .map(({ method, path }) => [method, path] as const)

const everywhere = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
}
const data = { 'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'cache-control': 'no-store' }

describe('a browser that gets an answer', () => {
  test.each(routes)('takes it for what it is and keeps it to itself: %s %s', async (method, path, { anonymous }) => {
    const response = await anonymous.send(method, path.replaceAll(/:\w+/g, 'x'))

    const headers = Object.fromEntries(response.headers)
    expect(headers).toMatchObject(everywhere)
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; .*frame-ancestors 'none'/)
    expect(headers['cache-control']).toBeString()
    // Only who speaks TLS may say that there is TLS (RFC 6797, 7.2), and this process does not.
    expect(headers['strict-transport-security']).toBeUndefined()
  })

  test('runs nothing in data and stores none of it', async ({ adminA }) => {
    const answers = [
      await adminA.get('/api/v1/me'),
      await adminA.post('/api/v1/conversations', { title: '<script>alert(1)</script>' }),
      await adminA.get('/api/v1/analytics/export?format=csv'),
      await adminA.get('/nothing'),
    ]

    expect(answers.map(({ status }) => status)).toEqual([200, 201, 200, 404])
    expect(answers.map(({ headers }) => headers)).toMatchObject(answers.map(() => ({ ...everywhere, ...data })))
  })

  test('may keep the files of the page, which says itself what may run in it', async ({ anonymous }) => {
    const page = await anonymous.get('/openapi')
    const file = await anonymous.get('/openapi/swagger-ui.js')

    expect(page.headers['content-security-policy']).toContain("script-src 'self'")
    expect(file).toMatchObject({ status: 200, headers: { 'cache-control': 'public, max-age=86400' } })
  })
})

describe('what a proxy says of a caller', () => {
  test('changes nothing: no part of the service asks where a request came from', async ({ anonymous, adminA }) => {
    const headers = {
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '443',
      'x-real-ip': '127.0.0.1',
      'cf-connecting-ip': '127.0.0.1',
      forwarded: 'for=127.0.0.1;host=evil.example;proto=https',
    }

    const answers = [
      await anonymous.get('/api/v1/me', { headers }),
      await adminA.get('/api/v1/me', { headers }),
      await anonymous.get('/openapi/json', { headers }),
    ]

    const without = [
      await anonymous.get('/api/v1/me'),
      await adminA.get('/api/v1/me'),
      await anonymous.get('/openapi/json'),
    ]
    const said = ({ status, body }: (typeof answers)[number]) => ({ status, body: { ...body, request_id: undefined } })
    expect(answers.map(said)).toEqual(without.map(said))
    expect(answers.map(({ status }) => status)).toEqual([401, 200, 200])
    expect(JSON.stringify(answers)).not.toContain('evil.example')
  })
})
