import { randomBytes } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { shape } from '../schema'
import { EventTypes } from './events'
import { address, plugin, secret } from './plugin'
import { requireTaken, urlMistake } from './receiver'

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`

/** Standard Webhooks (https://www.standardwebhooks.com): signed with id and time, so receivers can check it with a library. */
export const webhook = plugin({
  name: 'webhook',
  version: '1.0.0',
  description: 'Posts what happens to a URL, signed as Standard Webhooks says.',
  config: shape({
    url: address(
      Type.String({ minLength: 1, maxLength: 2048, description: 'Where to post to; redirects are not followed' }),
    ),
    events: { ...EventTypes, description: 'What to post' },
    secret: secret({
      generate: newSecret,
      pattern: '^whsec_[A-Za-z0-9+/]{32,86}={0,2}$',
      description:
        'Signs what is posted: whsec_ and 24 to 64 bytes in base64. Made, and shown once, where none is given',
    }),
  }),
  check: ({ url, secret }) => urlMistake('/url', url) ?? secretMistake(secret),
  events: {
    types: ({ events }) => events,
    async run({ id, type, occurred_at, data }, { config, clock, egress, signal }) {
      // Loaded by the first event, as it would make every start longer.
      const { Webhook } = await import('standardwebhooks')
      const sentAt = clock.now()
      const body = JSON.stringify({ type, timestamp: occurred_at, data })
      const answer = await egress.fetch(config.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          // The same at every attempt, by which a receiver knows what it already has.
          'webhook-id': id,
          'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
          'webhook-signature': new Webhook(config.secret).sign(id, sentAt, body),
        },
        body,
        signal,
      })
      await requireTaken(answer, clock)
    },
  },
})

function secretMistake(secret: string): { path: string; message: string } | undefined {
  const written = secret.slice('whsec_'.length)
  const key = Buffer.from(written, 'base64')
  return key.length >= 24 && key.length <= 64 && key.toString('base64') === written
    ? undefined
    : { path: '/secret', message: 'must be whsec_ and 24 to 64 bytes in base64' }
}
