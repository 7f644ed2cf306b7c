import { describe, expect, test } from '../kit'
import { strangerTo } from '../speaking'

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

const parts = [
  ['/dashboard', 'text/html; charset=utf-8'],
  ['/dashboard/page.js', 'text/javascript; charset=utf-8'],
  ['/dashboard/page.css', 'text/css; charset=utf-8'],
] as const

describe('GET /dashboard', () => {
  test('is a page that takes everything from where it came', async ({ anonymous }) => {
    const { body } = await anonymous.get('/dashboard')

    const sources = [...body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, source]) => source)
    expect(sources).toEqual(['data:,', '/dashboard/page.css', '/dashboard/page.js'])
  })

  test('has neither script nor style written into it', async ({ anonymous }) => {
    const { body } = await anonymous.get('/dashboard')

    const inline = body.match(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:/gi)
    expect(inline).toBeNull()
    expect(body).toContain('<script type="module" src="/dashboard/page.js"></script>')
  })

  test.each(parts)(
    'sends %s as what it is, with a policy that allows nothing from elsewhere',
    async (path, type, { anonymous }) => {
      const { status, headers } = await anonymous.get(path)

      expect(status).toBe(200)
      expect(headers).toMatchObject({
        'content-type': type,
        'content-security-policy': policy,
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
        'x-content-type-options': 'nosniff',
      })
    },
  )

  test.each(parts)('sends %s once, and again only when it changed', async (path, _type, { anonymous }) => {
    const { headers, body } = await anonymous.get(path)

    const known = await anonymous.get(path, { headers: { 'if-none-match': `"other", ${headers.etag}` } })
    const other = await anonymous.get(path, { headers: { 'if-none-match': '"other"' } })

    expect(headers.etag).toMatch(/^"[a-z0-9]+"$/)
    expect(known).toMatchObject({ status: 304, body: undefined, headers: { etag: headers.etag } })
    expect(other).toMatchObject({ status: 200, body })
  })

  test('is bundled whole: no address of another host, no path of the machine that built it', async ({ anonymous }) => {
    const [script, style] = [await anonymous.get('/dashboard/page.js'), await anonymous.get('/dashboard/page.css')]

    const elsewhere = `${script.body}${style.body}`.match(/\b(?:https?:)?\/\/[\w-]+\.[\w.-]+/g) ?? []
    expect(elsewhere.filter((address) => !address.endsWith('//www.w3.org'))).toEqual([])
    expect(script.body).not.toContain(import.meta.dir.split('/').slice(0, 3).join('/'))
    expect(script.body).not.toMatch(/^import\b|\bimport\(|\brequire\(/m)
    expect(style.body).not.toContain('@import')
  })

  test.each(parts)('is not there when it is switched off: %s', async (path, _type, { anonymous }) => {
    const response = await strangerTo({ dashboard: false }).get(path)

    expect(response).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await anonymous.get(path)).toMatchObject({ status: 200 })
  })

  test('takes GET and HEAD only', async ({ anonymous }) => {
    const { status, headers } = await anonymous.post('/dashboard', {})

    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: 'GET, HEAD' })
  })
})
