import { analyticsExport } from './analytics-export/analytics-export'
import { emailNotifications } from './email-notifications'
import type { Plugin } from './plugin'
import { slackNotifications } from './slack-notifications'
import { webhook } from './webhook'

/** Every plugin there is, in the order in which they act on a chat. */
export const plugins: readonly Plugin[] = [webhook, slackNotifications, emailNotifications(), analyticsExport]
