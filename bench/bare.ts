import { Elysia } from 'elysia'

/** Elysia alone, answering with the JSON in the file that is named; list.ts starts it in a process of its own. */
const text = await Bun.file(process.argv[2] ?? '').text()
const value = JSON.parse(text)

const app = new Elysia()
  .get('/object', () => value) // written as JSON for every answer
  .get('/text', () => new Response(text, { headers: { 'content-type': 'application/json' } }))
  .listen({ port: 0, hostname: '127.0.0.1' })
console.error(app.server?.url.origin)
