/** What a scripted turn does, one step after the other. */
export type Step =
  | { type: 'text'; text: string }
  | { type: 'call'; call: { id: string; name: string; arguments: string } }
  | { type: 'usage'; usage: { prompt_tokens: number; completion_tokens: number } }
  | { type: 'end' }
  /** Waits for the caller's signal, or for `release()`. */
  | { type: 'hang' }
  | { type: 'fail'; error: Error }

type Asked<Request> = { request: Request; stream: boolean; signal: AbortSignal }

/**
 * A language model that says what it was told to say, turn by turn, and remembers what it was asked.
 * A question that no turn was written for fails, with the question in the message.
 */
export class ScriptedModel<Request = unknown> {
  readonly asked: Asked<Request>[] = []
  readonly #turns: Step[][] = []
  readonly #released = Promise.withResolvers<void>()
  readonly #reached = Promise.withResolvers<void>()

  /** `onUnscripted` hears of a question without a turn, because an app may take its error for a provider's failure. */
  constructor(private readonly onUnscripted: (error: Error) => void = () => {}) {}

  /** Says this, in these pieces, and ends well. */
  says(text: string | string[], usage?: { prompt_tokens: number; completion_tokens: number }): this {
    const pieces = (Array.isArray(text) ? text : [text]).map((piece): Step => ({ type: 'text', text: piece }))
    return this.does(...pieces, ...(usage ? [{ type: 'usage', usage } as const] : []), { type: 'end' })
  }

  /** Asks for tools, by name and arguments, and ends well. */
  calls(...calls: [name: string, args: unknown][]): this {
    const steps = calls.map(
      ([name, args], at): Step => ({
        type: 'call',
        call: { id: `call_${at + 1}`, name, arguments: typeof args === 'string' ? args : JSON.stringify(args) },
      }),
    )
    return this.does(...steps, { type: 'end' })
  }

  /** Any steps. Without an `end` the reply is cut. */
  does(...steps: Step[]): this {
    this.#turns.push(steps)
    return this
  }

  fails(error: Error): this {
    return this.does({ type: 'fail', error })
  }

  /** Drops the turns that nobody asked for. */
  forget(): void {
    this.#turns.length = 0
  }

  /** Lets every `hang` go on. */
  release(): void {
    this.#released.resolve()
  }

  /** Resolves when a turn hangs. */
  get hanging(): Promise<void> {
    return this.#reached.promise
  }

  async *reply(
    request: Request,
    { stream, signal }: { stream: boolean; signal: AbortSignal },
  ): AsyncGenerator<Exclude<Step, { type: 'hang' | 'fail' }>> {
    this.asked.push({ request, stream, signal })
    const turn = this.#turns.shift()
    if (!turn) {
      const error = new Error(
        `The model was asked something that no turn was scripted for: ${JSON.stringify(request)}. Script it before the request: provider.says('...').`,
      )
      this.onUnscripted(error)
      throw error
    }
    for (const step of turn) {
      if (step.type === 'fail') throw step.error
      if (step.type === 'hang') await this.#hang(signal)
      else yield step
    }
  }

  #hang(signal: AbortSignal): Promise<void> {
    this.#reached.resolve()
    const left = Promise.withResolvers<void>()
    if (signal.aborted) left.reject(signal.reason)
    signal.addEventListener('abort', () => left.reject(signal.reason), { once: true })
    return Promise.race([this.#released.promise, left.promise])
  }
}
