import { describe, expect, test } from 'bun:test'
import { largestBody } from '../../src/body'
import { echoProvider } from '../../src/providers/echo'
import { ownService } from '../own-service'

// Over a real socket, because the server behind it has a limit of its own, which must not come first.
describe('A body over a socket', () => {
  test('may have as many bytes as the service says, and gets the answer of the service with one more', async () => {
    await using service = await ownService(echoProvider)
    const url = `${service.listen()}/api/v1/conversations`
    const post = (body: string) => fetch(url, { method: 'POST', headers: service.headers, body })
    const conversation = JSON.stringify({ title: 'Large' })

    const answers = [await post(conversation.padEnd(largestBody)), await post(conversation.padEnd(largestBody + 1))]

    expect(answers.map(({ status }) => status)).toEqual([201, 413])
    expect(await answers[1]?.json()).toMatchObject({ code: 'payload_too_large', status: 413 })
  })
})
