import { type Client, type ClientResponse, read } from '../../../src/testing'
import { app, describe, expect, test } from '../../kit'
import { type Attempt, anywhere, conversations, entries, type Names, settings, users } from './isolation-entries'

/** In each field of the first tenant, and nowhere else. Lower case, because e-mail addresses are. */
const canaries = {
  title: 'canary-title-71c',
  prompt: 'canary-prompt-72c',
  key: 'canary-key-73c',
  value: 'canary-value-74c',
  message: 'canary-message-75c',
  reply: 'canary-reply-76c',
  model: 'canary-model-77c',
  user: 'canary-user-78c',
  email: 'canary-email-79c',
  name: 'canary-name-80c',
  tenant: 'canary-tenant-81c',
  default_model: 'canary-default-82c',
  system: 'canary-system-83c',
}

const cursorOf = (id: string) => Buffer.from(id).toString('base64url')

/** The first tenant's rows, with a canary in every field that takes one. */
async function plant(owner: Client, tenant: string): Promise<Names> {
  const title = `Q3 planning ${canaries.title}`
  const metadata = { [canaries.key]: [canaries.value] }
  const { body: created } = await owner.post(conversations, { title, system_prompt: canaries.prompt, metadata })
  const question = { message: canaries.message, conversation_id: created.id, model: canaries.model }
  const key = 'same-key'
  const { body: reply } = await owner.post('/api/v1/chat', question, { headers: { 'idempotency-key': key } })
  const named = { external_id: canaries.user, email: `${canaries.email}@acme.example`, display_name: canaries.name }
  const { body: user } = await owner.post(users, { ...named, role: 'viewer' })
  await owner.patch(settings, {
    name: canaries.tenant,
    default_model: canaries.default_model,
    system_prompt: canaries.system,
  })
  return {
    tenant,
    conversation: created.id,
    message: reply.message_id,
    user: user.id,
    external_id: named.external_id,
    email: named.email,
    key,
    word: canaries.title,
    cursor: cursorOf(created.id),
    user_cursor: cursorOf(user.id),
  }
}

/** Names that look the same and belong to nobody: made in the same millisecond, so that they sort alike. */
function nobodys(names: Names): Names {
  const like = (id: string) => `${id.slice(0, 24)}0123456789ab`
  return {
    tenant: like(names.tenant),
    conversation: like(names.conversation),
    message: like(names.message),
    user: like(names.user),
    external_id: 'nobodys-user',
    email: 'nobodys-mail@acme.example',
    key: 'nobodys-key',
    word: 'nobodys-word',
    cursor: cursorOf(like(names.conversation)),
    user_cursor: cursorOf(like(names.user)),
  }
}

const someId = '019cadc6-9a80-7000-8000-000000000000'
/** Names of nobody that are there before anything else is. */
const nobody = nobodys({
  tenant: someId,
  conversation: someId,
  message: someId,
  user: someId,
  external_id: '',
  email: '',
  key: '',
  word: '',
  cursor: '',
  user_cursor: '',
})

const ask = async (client: Client, method: string, { path, ...options }: Attempt): Promise<ClientResponse> =>
  await read(await client.send(method, path, options))

/** All that the tenant can see of itself. */
const seenBy = async (client: Client, { conversation }: Names) =>
  JSON.stringify(
    (
      await Promise.all(
        [
          '/api/v1/me',
          `${conversations}?include_archived=true`,
          `${conversations}/${conversation}/messages`,
          users,
          settings,
        ].map((path) => client.get(path)),
      )
    ).map(({ status, headers, body }) => ({ status, total: headers['x-total-count'], body })),
  )

/** An answer without what the caller itself sent, and without what differs from request to request. */
function comparable({ status, headers, body }: ClientResponse, names: Names): string {
  const { 'x-request-id': _id, 'server-timing': _timing, ...rest } = headers
  let text = JSON.stringify({ status, headers: rest, body })
  for (const [name, value] of Object.entries(names)) {
    text = text.replaceAll(value, `<${name}>`).replaceAll(value.toUpperCase(), `<${name}>`)
  }
  return text
    .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, '<id>')
    .replaceAll(/(\\?"(?:latency_ms|uptime_seconds)\\?":)\d+/g, '$1<time>')
}

/** What of the first tenant's stands in an answer and did not come from the caller. */
function leaks(answer: ClientResponse, attempt: Attempt, names: Names): string[] {
  const { conversation, message, user, tenant } = names
  const sent = JSON.stringify(attempt).toLowerCase()
  const got = JSON.stringify(answer).toLowerCase()
  return [...Object.values(canaries), conversation, message, user, tenant].filter(
    (secret) => got.includes(secret) && !sent.includes(secret),
  )
}

const routes = app.routes.filter(({ method }) => method !== 'OPTIONS').map(({ method, path }) => `${method} ${path}`)

describe('the isolation of tenants', () => {
  test('is tried on every route', () => {
    const tried = Object.keys(entries)

    expect(tried.sort()).toEqual(routes.sort())
  })

  test.each(Object.entries(entries))('holds for %s', async (route, entry, fixtures) => {
    const { adminA, adminB, tenantA, model, clock } = fixtures
    const [method = ''] = route.split(' ')
    for (let turn = 0; turn < 20; turn++) model.says(turn === 0 ? canaries.reply : 'Well')
    const asB = async (names: Names) => {
      const answers: { attempt: Attempt; answer: ClientResponse; text: string }[] = []
      for (const attempt of entry.attempts(names).flatMap((each) => [each, ...anywhere(names, each)])) {
        const answer = await ask(adminB, method, attempt)
        answers.push({ attempt, answer, text: comparable(answer, names) })
      }
      return answers
    }
    const texts = (answers: { text: string }[]) => answers.map(({ text }) => text)
    // The second tenant's rows stand before and after those of the first, and are there alone to begin with.
    await adminB.post(conversations, { title: 'Q3 planning' })
    clock.advance({ seconds: 2 })
    await adminB.post(conversations, { title: 'Q3 planning' })
    clock.advance({ seconds: -1 })
    const alone = method === 'GET' ? await asB(nobody) : []
    const theirs = await plant(adminA, tenantA.id)
    const askedByA = model.asked.length
    const before = await seenBy(adminA, theirs)

    const answers = await asB(theirs)

    const askedByB = JSON.stringify(model.asked.slice(askedByA).map(({ request }) => request))
    const after = await seenBy(adminA, theirs)
    const together = method === 'GET' ? await asB(nobody) : []
    const forUnknown = await asB(nobodys(theirs))
    const owners = await ask(adminA, method, entry.attempts(theirs)[0] ?? { path: '' })
    expect(answers.flatMap(({ answer, attempt }) => leaks(answer, attempt, theirs))).toEqual([])
    expect(texts(answers)).toEqual(texts(forUnknown))
    expect(texts(together)).toEqual(texts(alone))
    expect(after).toBe(before)
    expect(Object.values(canaries).filter((canary) => !before.includes(canary))).toEqual([])
    expect(Object.values(canaries).filter((canary) => askedByB.includes(canary))).toEqual([])
    expect(owners.status).toBe(entry.owner)
  })

  test('is not what keeps the owner from its own', async ({ adminA, tenantA, model }) => {
    model.says(canaries.reply)
    const mine = await plant(adminA, tenantA.id)

    const found = await adminA.get(`${conversations}?q=${mine.word}`)
    const replayed = await adminA.post(
      '/api/v1/chat',
      { message: canaries.message, conversation_id: mine.conversation, model: canaries.model },
      { headers: { 'idempotency-key': mine.key } },
    )

    expect(found).toMatchObject({ status: 200, body: [{ id: mine.conversation, system_prompt: canaries.prompt }] })
    expect(replayed).toMatchObject({
      status: 200,
      headers: { 'idempotency-replayed': 'true' },
      body: { message_id: mine.message, response: canaries.reply },
    })
  })
})
