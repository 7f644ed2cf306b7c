/** A model server that says twenty words, one every 5 ms where it is asked for a stream; soak.ts starts it in a process of its own. */
const words = Array.from({ length: 20 }, (_, n) => `word${n} `)
const envelope = { id: 'chatcmpl-1', created: 1_770_000_000, model: 'talker' }
const usage = { prompt_tokens: 21, completion_tokens: 20, total_tokens: 41 }
const whole = JSON.stringify({
  ...envelope,
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: words.join('') }, finish_reason: 'stop' }],
  usage,
})
const event = (choices: object[], more: object = {}) =>
  `data: ${JSON.stringify({ ...envelope, object: 'chat.completion.chunk', choices, ...more })}\n\n`

async function* talk(): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  for (const content of words) {
    yield encoder.encode(event([{ index: 0, delta: { content }, finish_reason: null }]))
    await Bun.sleep(5)
  }
  yield encoder.encode(event([{ index: 0, delta: {}, finish_reason: 'stop' }]))
  yield encoder.encode(event([], { usage }))
  yield encoder.encode('data: [DONE]\n\n')
}

const streamOf = (pieces: AsyncGenerator<Uint8Array>) =>
  new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: async () => void (await pieces.return(undefined)),
  })

const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 255,
  async fetch(request) {
    const { stream } = (await request.json()) as { stream?: boolean }
    if (!stream) return new Response(whole, { headers: { 'content-type': 'application/json' } })
    return new Response(streamOf(talk()), { headers: { 'content-type': 'text/event-stream' } })
  },
})
console.error(server.url.origin)

export {}
