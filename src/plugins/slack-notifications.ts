import { shape } from '../schema'
import { EventTypes } from './events'
import { address, plugin, secret } from './plugin'
import { requireTaken, urlMistake } from './receiver'
import { sentence } from './sentence'

/** Tells a Slack channel, or any chat that takes Slack's incoming webhooks, what has happened. */
export const slackNotifications = plugin({
  name: 'slack_notifications',
  version: '1.0.0',
  description: 'Posts a line to a Slack channel when something happens.',
  config: shape({
    // Whoever knows it may post, so it is a secret as well as an address.
    webhook_url: address(
      secret({ minLength: 1, maxLength: 2048, description: 'The URL of an incoming webhook, as Slack shows it' }),
    ),
    events: { ...EventTypes, description: 'What to post' },
  }),
  check: ({ webhook_url }) => urlMistake('/webhook_url', webhook_url),
  events: {
    types: ({ events }) => events,
    async run(event, { config, clock, egress, signal }) {
      const answer = await egress.fetch(config.webhook_url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text: escaped(sentence(event)) }),
        signal,
      })
      await requireTaken(answer, clock)
    },
  },
})

/** As Slack asks of all text, so that no name becomes a mention or a link (https://docs.slack.dev/messaging/formatting-message-text). */
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
