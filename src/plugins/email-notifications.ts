import { Type } from '@sinclair/typebox'
import { readDestination } from '../egress/destination'
import { EgressError } from '../egress/egress'
import { oneOf, shape } from '../schema'
import { type EventType, EventTypes } from './events'
import { sendMail } from './mail'
import { address, type Plugin, plugin, secret } from './plugin'
import { sentence } from './sentence'

/** One plain address: nothing that a mail header or a list of recipients reads as more than that. */
const Address = Type.String({
  pattern: "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63}){0,8}$",
  error: 'must be an e-mail address',
})

/** Writes mails about what has happened. `ca` are authorities to trust in place of the machine's. */
export const emailNotifications = ({ ca }: { ca?: string } = {}): Plugin =>
  plugin({
    name: 'email_notifications',
    version: '1.0.0',
    description: 'Sends a mail when something happens, through a mail server of yours.',
    config: shape({
      smtp_host: address(Type.String({ minLength: 1, maxLength: 253, description: 'Name of the mail server' })),
      smtp_port: address(Type.Integer({ minimum: 1, maximum: 65_535, description: 'Usually 587, or 465 with tls' })),
      security: Type.Optional({
        ...oneOf('starttls', 'tls', 'none'),
        default: 'starttls',
        description:
          'starttls (if not given) and tls encrypt, with a certificate that is checked; none does not, and takes no credentials',
      }),
      username: Type.Optional(
        Type.String({ minLength: 1, maxLength: 320, description: 'Where the server asks for one' }),
      ),
      password: Type.Optional(secret({ minLength: 1, maxLength: 1024, description: 'Belongs to the username' })),
      from_email: { ...Address, description: 'Sender' },
      to: Type.Array(Address, { minItems: 1, maxItems: 20, description: 'Who gets the mails' }),
      events: { ...EventTypes, description: 'What to write about' },
    }),
    check({ smtp_host, smtp_port, security, username, password }) {
      if (!isHost(smtp_host, smtp_port)) return { path: '/smtp_host', message: 'must be the name or address of a host' }
      if (username !== undefined && password === undefined)
        return { path: '/password', message: 'is needed where there is a username' }
      if (username === undefined && password !== undefined)
        return { path: '/username', message: 'is needed where there is a password' }
      if (security === 'none' && password !== undefined)
        return { path: '/security', message: 'must be starttls or tls where there is a password' }
      return undefined
    },
    events: {
      types: ({ events }) => events,
      async run(event, { config, egress, signal }) {
        const { smtp_host, smtp_port, security = 'starttls', username, password, from_email, to } = config
        const server = {
          hostname: smtp_host,
          port: smtp_port,
          security,
          credentials:
            username === undefined || password === undefined ? undefined : { user: username, pass: password },
          ca,
        }
        const mail = {
          // The same at every attempt, by which a mailbox knows what it already has.
          messageId: `<${event.id}@${from_email.split('@')[1]}>`,
          from: from_email,
          to: [...new Set(to)],
          date: new Date(event.occurred_at),
          subject: subjects[event.type],
          text: `${sentence(event)}\n\n${event.type}, ${event.occurred_at}, ${event.id}\n`,
        }
        await sendMail(server, mail, { egress, signal })
      },
    },
  })

const subjects: Record<EventType, string> = {
  'message.created': 'A message was written',
  'reply.completed': 'A reply was given',
  'reply.failed': 'A reply failed',
  'user.created': 'A user was created',
  'plugin.enabled': 'A plugin was enabled',
  'daily_summary.ready': 'The summary of a day',
}

function isHost(hostname: string, port: number): boolean {
  try {
    readDestination(hostname, port)
    return true
  } catch (error) {
    if (error instanceof EgressError) return false
    throw error
  }
}
