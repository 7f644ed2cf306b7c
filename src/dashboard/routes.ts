import { Elysia } from 'elysia'
import type { Access } from '../deps'

const html = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Tenantry dashboard</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/dashboard/page.css">
  <script type="module" src="/dashboard/page.js"></script>
</head>
<body>
  <div id="dashboard"><noscript>This page needs JavaScript. The same figures are at /api/v1/analytics.</noscript></div>
</body>
</html>
`

/**
 * Everything comes from here and nothing is written into the page: no inline script, no inline style, and where the
 * browser knows trusted types, no HTML made of text either. Styles that the chart sets through the DOM are not inline.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  'img-src data:',
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

type Asset = { body: string; type: string; tag: string }
const asset = (body: string, type: string): Asset => ({
  body,
  type: `${type}; charset=utf-8`,
  tag: `"${Bun.hash(body).toString(36)}"`,
})

let bundled: Promise<{ script: Asset; style: Asset }> | undefined
const bundle = () => {
  bundled ??= import('./bundle').then(({ script, style }) => ({
    script: asset(script, 'text/javascript'),
    style: asset(style, 'text/css'),
  }))
  return bundled
}

/** Kept by the browser, and asked for each time whether it changed: an update shows at once, without a reload by hand. */
function answer(request: Request, { body, type, tag }: Asset): Response {
  const headers = {
    'content-type': type,
    'content-security-policy': policy,
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
    etag: tag,
  }
  const known = request.headers.get('if-none-match')?.split(/, */) ?? []
  return known.includes(tag) ? new Response(null, { status: 304, headers }) : new Response(body, { headers })
}

const page = asset(html, 'text/html')

/** A page that shows the analytics. It is for everybody; what it shows comes through the API, with the reader's token. */
export const dashboardRoutes = (access: Access) =>
  new Elysia({ prefix: '/dashboard' })
    .use(access)
    .get('', ({ request }) => answer(request, page), { public: true })
    .get('/page.js', async ({ request }) => answer(request, (await bundle()).script), { public: true })
    .get('/page.css', async ({ request }) => answer(request, (await bundle()).style), { public: true })
