import { analyticsExport } from './analytics-export/analytics-export'
import { calculator } from './calculator'
import { emailNotifications } from './email-notifications'
import { moderation } from './moderation'
import { piiRedaction } from './pii-redaction/pii-redaction'
import type { Plugin } from './plugin'
import { slackNotifications } from './slack-notifications'
import { webhook } from './webhook'

/** Every plugin there is, in the order in which they act on a chat. */
export const plugins: readonly Plugin[] = [
  moderation,
  piiRedaction,
  calculator,
  webhook,
  slackNotifications,
  emailNotifications(),
  analyticsExport,
]
