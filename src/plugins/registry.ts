import { calculator } from './calculator'
import { moderation } from './moderation'
import { piiRedaction } from './pii-redaction/pii-redaction'
import type { Plugin } from './plugin'

/** Every plugin there is, in the order in which they act on a chat. */
export const plugins: readonly Plugin[] = [moderation, piiRedaction, calculator]
