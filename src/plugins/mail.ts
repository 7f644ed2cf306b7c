import { isIP } from 'node:net'
import { EgressError } from '../egress/egress'
import { failureCode } from '../errors'
import { HopelessJob, RetryAfter } from '../jobs/job'
import type { PluginContext } from './plugin'

export type MailServer = {
  readonly hostname: string
  readonly port: number
  /** `none` is only for servers that need no credentials. */
  readonly security: 'starttls' | 'tls' | 'none'
  readonly credentials: { readonly user: string; readonly pass: string } | undefined
  /** Authorities to trust in place of the machine's. */
  readonly ca: string | undefined
}

export type Mail = {
  readonly messageId: string
  readonly from: string
  readonly to: readonly string[]
  readonly date: Date
  readonly subject: string
  readonly text: string
}

const timeoutMs = 25_000
const largestAnswer = 64 * 1024

/**
 * Hands a mail to a server, at the address that the guard found. Throws HopelessJob where the server refused it for
 * good, and other errors where it may take it later; none quotes the server, whose words may quote the credentials.
 */
export async function sendMail(
  server: MailServer,
  { from, to, ...mail }: Mail,
  { egress, signal }: Pick<PluginContext<unknown>, 'egress' | 'signal'>,
): Promise<void> {
  const { hostname, port, security, credentials, ca } = server
  const address = await egress.resolve(hostname, port)
  // Loaded by the first mail: the client is large, and would make every start longer.
  const { createTransport } = await import('nodemailer')
  const transport = createTransport({
    host: address,
    port,
    // What it would say of itself where the machine has no full name; that name is nobody's business.
    name: '[127.0.0.1]',
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    tls: {
      // Said aloud, since NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise be heard.
      rejectUnauthorized: true,
      ...(isIP(hostname) === 0 && { servername: hostname }),
      ...(ca !== undefined && { ca }),
    },
    ...(credentials && { auth: { ...credentials }, forceAuth: true }),
    connectionTimeout: timeoutMs / 2,
    greetingTimeout: timeoutMs / 2,
    socketTimeout: timeoutMs / 2,
    maxResponseSize: largestAnswer,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const sent = await transport
    .sendMail({
      ...mail,
      // As objects, so that nothing in them is read as a list or a name.
      from: { name: '', address: from },
      to: to.map((address) => ({ name: '', address })),
      headers: { 'Auto-Submitted': 'auto-generated' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    .catch((error: unknown) => {
      throw failure(hostname, codeOf(error), error)
    })
  const refused = sent.rejectedErrors ?? []
  if (refused.length === 0) return
  // All of them are written to again, and know the mail by its id: better twice than not at all.
  const codes = refused.map(codeOf)
  const which = `${refused.length} of ${to.length} recipients`
  throw failure(hostname, codes.find((code) => code !== undefined && code < 500) ?? codes[0], undefined, which)
}

function failure(hostname: string, code: number | undefined, error: unknown, what = partOf(error)): Error {
  if (code === undefined) {
    const words = failureCode(error)
    return new EgressError(
      `No mail could be handed to ${hostname}${words === undefined ? '' : ` (${words})`}.`,
      'failed',
    )
  }
  return code < 500
    ? new RetryAfter(`The mail server does not take ${what} now (${code}).`, 0)
    : new HopelessJob(`The mail server refused ${what} (${code}).`)
}

function partOf(error: unknown): string {
  const code = failureCode(error)
  return code === 'ETLS' ? 'STARTTLS' : code === 'EAUTH' ? 'the credentials' : 'the mail'
}

/** The number with which the server refused, if it was the server that did. */
const codeOf = (error: unknown): number | undefined =>
  error instanceof Error && 'responseCode' in error && typeof error.responseCode === 'number'
    ? error.responseCode
    : undefined
