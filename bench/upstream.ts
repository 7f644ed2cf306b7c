/** A model server that costs nearly nothing and always says the same; chat.ts starts it in a process of its own. */
const completion = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_770_000_000,
  model: 'fixed',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'The third quarter begins with what customers asked for twice.' },
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 21, completion_tokens: 12, total_tokens: 33 },
})
const headers = { 'content-type': 'application/json' }

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 255,
  fetch: () => new Response(completion, { headers }),
})
console.error(server.url.origin)
