/** How long and how much one request may take. */
export type EgressLimits = {
  /** From the first look-up to the last byte, in ms. */
  timeoutMs: number
  /** Bytes of the answer's body, after decompression. */
  largestAnswer: number
}

export type EgressRequest = {
  method?: 'GET' | 'POST' | 'PUT'
  headers?: Record<string, string>
  body?: string | Uint8Array
  signal?: AbortSignal
  limits?: Partial<EgressLimits>
}

/**
 * The only way out for what tenants configure: webhooks, mail servers, buckets; and for key sets.
 * Goes to public addresses, and to those that the operator listed in EGRESS_ALLOW.
 */
export type Egress = {
  /**
   * Looks the host up once and connects to what was found. Follows no redirect: a 3xx is an answer like others.
   * Throws EgressError where it may not go, cannot get, or gets too much; never for a status. The limits hold for the
   * body too, whenever it is read; one that is not read is dropped when the time is over.
   */
  fetch(url: string | URL, request?: EgressRequest): Promise<Response>
  /** An address that this port of a host may be connected to at, for protocols other than HTTP. Throws EgressError. */
  resolve(hostname: string, port: number): Promise<string>
}

/**
 * Why nothing came. The message names the host and no more: path and query may hold a secret, and the address behind
 * a name is nothing that a tenant learns from us. There is no cause, for those of Bun's fetch hold the whole URL.
 */
export class EgressError extends Error {
  override readonly name = 'EgressError'

  constructor(
    message: string,
    /** `refused`: may not go there, ever. `failed`: may work later. */
    readonly kind: 'refused' | 'failed',
  ) {
    super(message)
  }
}
