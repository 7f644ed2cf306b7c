import ipaddr from 'ipaddr.js'

/** One entry of EGRESS_ALLOW: a host by its name, or a network (one address is a small one); a port, or every port. */
type Rule = { to: string | ipaddr.IPv4 | ipaddr.IPv6; bits: number; port: number | undefined }

export type Destination = { hostname: string; port: number }

/** What the operator allows beside public addresses. Throws upon an entry that cannot be read. */
export class Allowed {
  readonly #rules: readonly Rule[]

  constructor(entries: readonly string[]) {
    this.#rules = entries.map((entry) => {
      const rule = readRule(entry)
      if (!rule) throw new Error('An entry of the list of allowed destinations is no host, address or block.')
      return rule
    })
  }

  /**
   * A name that is listed may lead anywhere, since the operator trusts who runs it; a port that is listed with it is
   * the only one. A listed address is allowed under every name, for whoever names one can name the other.
   */
  permits({ hostname, port }: Destination, address: string): boolean {
    const parsed = ipaddr.parse(address)
    const listed = this.#rules.some(
      (rule) =>
        (rule.port === undefined || rule.port === port) &&
        (typeof rule.to === 'string'
          ? rule.to === hostname
          : rule.to.kind() === parsed.kind() && parsed.match(rule.to, rule.bits)),
    )
    return listed || isPublic(parsed)
  }
}

export const isAllowEntry = (entry: string): boolean => readRule(entry) !== undefined

function readRule(entry: string): Rule | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^[\]]+?))(?::(\d{1,5}))?$/.exec(entry) ?? []
  // Without brackets the last part of an IPv6 address would be taken for a port.
  const bare = bracketed === undefined && ipaddr.IPv6.isValid(entry.split('/')[0] ?? '')
  const to = bare ? entry : (bracketed ?? plain)
  const number = bare || port === undefined ? undefined : Number(port)
  if (to === undefined || number === 0 || (number ?? 0) > 65_535) return undefined
  if (bracketed !== undefined && !bracketed.includes(':')) return undefined

  const [address = '', bits, ...rest] = to.split('/')
  if (rest.length > 0 || !(bits === undefined || /^\d{1,3}$/.test(bits))) return undefined
  if (ipaddr.IPv4.isValidFourPartDecimal(address) || ipaddr.IPv6.isValid(address)) {
    const network = ipaddr.parse(address)
    const longest = network.kind() === 'ipv4' ? 32 : 128
    const kept = bits === undefined ? longest : Number(bits)
    return kept > longest ? undefined : { to: network, bits: kept, port: number }
  }
  return bits === undefined && isHostname(to) ? { to: to.toLowerCase(), bits: 0, port: number } : undefined
}

/** As URLs have it at the end: no other notation of an address, nothing that is not ASCII, no dot at the end. */
export const isHostname = (name: string): boolean =>
  /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/i.test(name) && URL.parse(`http://${name}/`)?.hostname === name.toLowerCase()

/** What the table of ipaddr.js takes for ordinary and is not: IPv6 beyond 2000::/3, and the host of every Azure machine. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')
const azureHost = '168.63.129.16'

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== 'unicast') return false
  return address instanceof ipaddr.IPv6 ? address.match(globalUnicast) : address.toString() !== azureHost
}
