import { connect } from '../../src/database/database'
import { read } from '../../src/testing'
import { everything } from '../own-database'

/** What a caller was told with a 200, or with `done` at the end of a stream: from then on it may rely on it. */
export type Acknowledged = { conversation_id: string; message_id: string; message: string; response: string }

/** What else it was told. */
export type Refusal = { status: number; code: string; retryAfter: string | null; type: string | null }

/** Callers that talk without a pause until they are stopped; each knows what it was told. */
export class Callers {
  readonly acknowledged: Acknowledged[] = []
  readonly refusals: Refusal[] = []
  /** Streams that ended in an `error` event, by its code. */
  readonly endedInError: string[] = []
  /** Requests that got no answer at all. */
  readonly unanswered: unknown[] = []
  longestMs = 0
  #stopped = false
  readonly #talking: Promise<void>[]

  /** Every second caller asks for a stream. */
  constructor(
    private readonly token: string,
    private readonly urls: readonly string[],
    { callers = 8 }: { callers?: number } = {},
  ) {
    this.#talking = Array.from({ length: callers }, (_, n) => this.#talk(n))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#talking)
  }

  /** Resolves when so many more were acknowledged. */
  async acknowledge(more: number): Promise<void> {
    const enough = this.acknowledged.length + more
    while (this.acknowledged.length < enough) await Bun.sleep(5)
  }

  /** Resolves when so many more were refused. */
  async refuse(more: number): Promise<void> {
    const enough = this.refusals.length + this.endedInError.length + more
    while (this.refusals.length + this.endedInError.length < enough) await Bun.sleep(5)
  }

  /** Each kind of refusal once. */
  get kindsOfRefusal(): Refusal[] {
    return [...new Map(this.refusals.map((refusal) => [JSON.stringify(refusal), refusal])).values()]
  }

  async #talk(n: number): Promise<void> {
    let conversation_id: string | undefined
    for (let turn = 1; !this.#stopped; turn++) {
      // A conversation that grows for ever would make the last requests slower than the first.
      if (turn % 10 === 0) conversation_id = undefined
      const message = `caller ${n} says ${turn}`
      const url = this.urls[n % this.urls.length] ?? ''
      const startedAt = performance.now()
      const told = await this.#ask(url, { message, stream: n % 2 === 1, ...(conversation_id && { conversation_id }) })
      this.longestMs = Math.max(this.longestMs, performance.now() - startedAt)
      if (told) {
        this.acknowledged.push({ ...told, message })
        conversation_id = told.conversation_id
      } else await Bun.sleep(10) // nobody gains from a caller that fails as fast as it can
    }
  }

  async #ask(
    url: string,
    body: { message: string; stream: boolean },
  ): Promise<Omit<Acknowledged, 'message'> | undefined> {
    try {
      const response = await fetch(`${url}/api/v1/chat`, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      const answer = await read(response)
      if (response.status !== 200) {
        this.refusals.push({
          status: response.status,
          code: answer.body.code,
          retryAfter: response.headers.get('retry-after'),
          type: response.headers.get('content-type'),
        })
        return undefined
      }
      if (!body.stream) return answer.body
      const last = answer.body.at(-1)
      if (last?.event === 'done') return last.data
      this.endedInError.push(last?.data.code)
    } catch (error) {
      this.unanswered.push(error)
    }
    return undefined
  }
}

/** The refusal that says: the database does not answer, come back. */
export const interrupted: Refusal = {
  status: 503,
  code: 'internal',
  retryAfter: '1',
  type: 'application/problem+json',
}

type Stored = { id: string; conversation_id: string; position: number; role: string; content: string; status: string }

/** What was acknowledged and is not in the database whole, once, and one after the other; empty is what is promised. */
export async function lostOf(acknowledged: readonly Acknowledged[], databaseUrl: string): Promise<Acknowledged[]> {
  await using connection = connect(databaseUrl)
  const { messages = [] } = await everything(connection)
  const stored = messages as Stored[]
  const byConversation = Map.groupBy(stored, ({ conversation_id }) => conversation_id)
  return acknowledged.filter(({ conversation_id, message_id, message, response }) => {
    const there = byConversation.get(conversation_id) ?? []
    const said = there.filter(({ role, content }) => role === 'user' && content === message)
    const answered = there.filter(({ id }) => id === message_id)
    const [question, reply] = [said[0], answered[0]]
    return !(
      said.length === 1 &&
      question?.status === 'complete' &&
      answered.length === 1 &&
      reply?.status === 'complete' &&
      reply.content === response &&
      reply.position > question.position
    )
  })
}
