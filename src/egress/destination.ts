import ipaddr from 'ipaddr.js'
import { type Destination, isHostname } from './allow'
import { EgressError } from './egress'

/** Reads a URL that may be gone to as far as its form goes; where it leads is another question. */
export function readUrl(input: string | URL): URL {
  const text = String(input)
  const url = URL.parse(text)
  if (!url) throw new EgressError('The URL cannot be read.', 'refused')
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new EgressError('Only http and https URLs can be fetched.', 'refused')
  if (url.username || url.password)
    throw new EgressError('A URL with a user name or password in it is not fetched.', 'refused')
  // Parsers differ on the rest, and what this one repairs another may read otherwise: who writes plainly loses nothing.
  const written = /^https?:\/\/([^/?#]*)/i
    .exec(text)?.[1]
    ?.toLowerCase()
    .replace(/:(80|443|)$/, '')
  if (/[\\\p{Cc}]/u.test(text) || written !== url.host.replace(/:(80|443)$/, '') || !isPlain(url.hostname))
    throw new EgressError(
      'The URL is written in an unusual way: it takes a host in ASCII (xn--... for others) or a plain address, and no backslash.',
      'refused',
    )
  return url
}

/** Reads the host of another protocol's server. */
export function readDestination(hostname: string, port: number): Destination {
  const name = hostname.toLowerCase()
  if (!isPlain(ipaddr.IPv6.isValid(name) ? `[${name}]` : name))
    throw new EgressError('The host is neither a name in ASCII nor a plain address.', 'refused')
  return { hostname: name, port }
}

export function destinationOf(url: URL): Destination {
  return {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
  }
}

const isPlain = (host: string): boolean =>
  host.startsWith('[') ? URL.parse(`http://${host}/`)?.hostname === host : isHostname(host)
