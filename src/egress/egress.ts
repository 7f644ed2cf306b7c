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
   * Looks the host up once and connects to that address. Follows no redirect: a 3xx is an answer like others.
   * Throws EgressError where it may not go, cannot get, or gets too much; never for a status.
   */
  fetch(url: string | URL, request?: EgressRequest): Promise<Response>
  /** An address that may be connected to, for protocols other than HTTP. Throws EgressError. */
  resolve(hostname: string): Promise<string>
}

/** Why nothing came. The message names neither the URL's path nor its query, which may hold a secret. */
export class EgressError extends Error {
  override readonly name = 'EgressError'

  constructor(
    message: string,
    /** `refused`: may not go there, ever. `failed`: may work later. */
    readonly kind: 'refused' | 'failed',
    options?: { cause: unknown },
  ) {
    super(message, options)
  }
}

/** TO BE REPLACED by the work on egress. */
export const noEgress: Egress = {
  fetch: async () => {
    throw new EgressError('There is no way out yet.', 'refused')
  },
  resolve: async () => {
    throw new EgressError('There is no way out yet.', 'refused')
  },
}
