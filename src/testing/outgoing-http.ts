import { running } from './running'

type Answer = Response | ((request: Request) => Response | Promise<Response>)

/**
 * HTTP that the app sends out. Inside a test it goes nowhere but to this machine, unless the test scripted an answer;
 * the refusal names the URL.
 */
export class OutgoingHttp {
  /** What was sent, in order. */
  readonly sent: Request[] = []
  readonly #scripts: { method: string; url: string; answer: Answer }[] = []

  /** `onUnscripted` hears of a refusal, because an app may take its error for a failure of the network. */
  constructor(private readonly onUnscripted: (error: Error) => void = () => {}) {}

  /** Answers requests to this URL; each call of the app gets a copy. What is said last is what holds. */
  on(method: string, url: string, answer: Answer): this {
    const { href } = URL.parse(url) ?? {}
    if (href === undefined) throw new Error(`http.on takes a whole URL, and ${url} is none.`)
    this.#scripts.push({ method: method.toUpperCase(), url: href, answer })
    return this
  }

  async fetch(request: Request, real: typeof fetch): Promise<Response> {
    const script = this.#scripts.findLast(({ method, url }) => method === request.method && url === request.url)
    if (script) {
      const { answer } = script
      request.signal.throwIfAborted()
      this.sent.push(request.clone() as Request)
      if (answer instanceof Response) return answer.clone() as Response
      const left = Promise.withResolvers<never>()
      request.signal.addEventListener('abort', () => left.reject(request.signal.reason), { once: true })
      return await Promise.race([answer(request), left.promise])
    }
    if (loopback.test(new URL(request.url).hostname)) return await real(request)
    const error = new Error(
      `The app sent ${request.method} ${request.url}, for which no answer was scripted: http.on('${request.method}', '${request.url}', new Response(...)).`,
    )
    this.onUnscripted(error)
    throw error
  }
}

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** Puts the running test's OutgoingHttp before the global fetch; outside tests nothing changes. */
export function guardFetch(): void {
  const real = globalThis.fetch
  if (guards.has(real)) return
  const guarded = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const own = running.find()
    return own ? own.http.fetch(new Request(input as string, init), real) : real(input, init)
  }
  globalThis.fetch = Object.assign(guarded, { preconnect: real.preconnect })
  guards.add(globalThis.fetch)
}

const guards = new WeakSet<typeof fetch>()
