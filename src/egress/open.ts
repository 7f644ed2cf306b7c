import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { Allowed, type Destination } from './allow'
import { directly, type Send } from './connect'
import { Deadline } from './deadline'
import { destinationOf, readDestination, readUrl } from './destination'
import { type Egress, EgressError, type EgressLimits } from './egress'

export type EgressOptions = {
  /** The entries of EGRESS_ALLOW. */
  allow: readonly string[]
  limits?: Partial<EgressLimits>
  /** All addresses of a name. */
  resolve?: (hostname: string) => Promise<readonly string[]>
  send?: Send
}

const defaults: EgressLimits = { timeoutMs: 10_000, largestAnswer: 1024 * 1024 }

/** Opens the way out. Environment proxies (HTTP_PROXY and the like) are not used: they would undo what is checked here. */
export function openEgress({ allow, limits, resolve = addressesOf, send = directly() }: EgressOptions): Egress {
  const allowed = new Allowed(allow)

  /**
   * Where to connect. All addresses must be permitted: a name of which some lead inside is a mistake or an attack,
   * and neither is answered by chance.
   */
  async function permitted(destination: Destination, host: string, deadline: Deadline): Promise<readonly string[]> {
    const { hostname } = destination
    const found = isIP(hostname) ? [hostname] : await deadline.race(resolve(hostname)).catch(failed(host, deadline))
    if (found.length === 0) throw new EgressError(`${host} has no address.`, 'failed')
    if (!found.every((address) => allowed.permits(destination, address)))
      throw new EgressError(
        `${host} leads to an address that is not public; an operator who wants that lists it in EGRESS_ALLOW.`,
        'refused',
      )
    return found
  }

  return {
    async fetch(input, { method = 'GET', headers = {}, body, signal, limits: own } = {}) {
      const url = readUrl(input)
      const { timeoutMs, largestAnswer } = { ...defaults, ...limits, ...own }
      const deadline = new Deadline(url.host, timeoutMs, signal)
      try {
        const addresses = await permitted(destinationOf(url), url.host, deadline)
        const init = {
          method,
          headers,
          redirect: 'manual',
          signal: deadline.signal,
          ...(body !== undefined && { body }),
        }
        const answer = await toFirst(addresses, (address) => send(address, url, init as RequestInit)).catch(
          failed(url.host, deadline),
        )
        if (answer.status > 599) throw new EgressError(`${url.host} answered with no status of HTTP.`, 'failed')
        return new Response(bounded(answer.body, largestAnswer, url.host, deadline), {
          status: answer.status,
          headers: answer.headers,
        })
      } catch (error) {
        if (error instanceof EgressError) deadline.end(error)
        throw error
      }
    },

    async resolve(hostname, port) {
      const destination = readDestination(hostname, port)
      const deadline = new Deadline(destination.hostname, { ...defaults, ...limits }.timeoutMs, undefined)
      try {
        const [address] = await permitted(destination, destination.hostname, deadline)
        return address as string // permitted never returns an empty list
      } finally {
        deadline.over()
      }
    },
  }
}

/** IPv4 first: where there is no IPv6, a machine often does not know. */
const addressesOf = async (hostname: string): Promise<string[]> =>
  (await lookup(hostname, { all: true, order: 'ipv4first' })).map(({ address }) => address)

/** Tries the next address only where nothing can have been sent yet, lest a hook be called twice. */
async function toFirst(addresses: readonly string[], send: (address: string) => Promise<Response>): Promise<Response> {
  const [address = '', ...others] = addresses
  try {
    return await send(address)
  } catch (error) {
    if (others.length === 0 || !unreached.has(codeOf(error))) throw error
    return await toFirst(others, send)
  }
}

const unreached = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'])

/** Only the code of what happened is told: the messages of Bun's errors hold the URL. */
const failed = (host: string, deadline: Deadline) => (error: unknown) => {
  throw deadline.reason ?? new EgressError(`No answer from ${host} (${codeOf(error)}).`, 'failed')
}

const codeOf = (error: unknown): string =>
  error instanceof Error ? ('code' in error && typeof error.code === 'string' ? error.code : error.name) : 'unknown'

/** The body, as long as it keeps the limits; its end is that of the request. */
function bounded(body: ReadableStream<Uint8Array> | null, largest: number, host: string, deadline: Deadline) {
  if (!body) {
    deadline.over()
    return null
  }
  const reader = body.getReader()
  let left = largest
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read().catch(failed(host, deadline))
        if (done) {
          deadline.over()
          controller.close()
          return
        }
        left -= value.byteLength
        if (left < 0) {
          deadline.end(new EgressError(`The answer of ${host} has more than ${largest} bytes.`, 'failed'))
          throw deadline.reason
        }
        controller.enqueue(value)
      },
      cancel: () => deadline.end(new EgressError(`The request to ${host} was given up.`, 'failed')),
    },
    { highWaterMark: 0 },
  )
}
