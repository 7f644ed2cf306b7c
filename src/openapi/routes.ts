import { type AnyElysia, Elysia } from 'elysia'
import style from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' }
import bundle from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' }
import type { Access, Deps } from '../deps'
import { openapiDocument } from './document'

const page = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Tenantry API</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/openapi/swagger-ui.css">
</head>
<body>
  <main id="api"></main>
  <script src="/openapi/swagger-ui.js"></script>
  <script src="/openapi/start.js"></script>
</body>
</html>
`
const start = `SwaggerUIBundle({ url: '/openapi/json', dom_id: '#api', validatorUrl: null, deepLinking: true })\n`

/** Everything comes from here, so the page works without a network and nothing else may be loaded. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

const text = (body: string, type: string) =>
  new Response(body, { headers: { 'content-type': `${type}; charset=utf-8`, 'content-security-policy': policy } })
const file = (path: string, type: string) =>
  new Response(Bun.file(path), {
    headers: { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'public, max-age=86400' },
  })

/** The API's description, and a page to read and try it. */
export const openapiRoutes = ({ version }: Deps, access: Access, app: () => AnyElysia) => {
  let document: object | undefined
  return new Elysia({ prefix: '/openapi' })
    .use(access)
    .get('', () => text(page, 'text/html'), { public: true })
    .get('/start.js', () => text(start, 'text/javascript'), { public: true })
    .get('/swagger-ui.js', () => file(bundle, 'text/javascript'), { public: true })
    .get('/swagger-ui.css', () => file(style, 'text/css'), { public: true })
    .get(
      '/json',
      () => {
        document ??= openapiDocument(app(), version)
        return document
      },
      { public: true },
    )
}
