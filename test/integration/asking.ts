import { messages } from '../../src/database/tables'
import type { ProviderLimits } from '../../src/providers/ask'
import { openaiProvider } from '../../src/providers/openai'
import { answers, type Turn } from '../fake-provider'
import { database, deps } from '../kit'

export const apiKey = 'sk-canary-of-the-provider'

/** Long enough for a busy machine, so that what fails does not fail for want of time. */
const patient = { totalMs: 10_000, firstByteMs: 10_000, idleMs: 10_000, retryMs: 1, longestReply: 5000 }

/** What an app needs to ask the server at `url`. */
export const asking = (url: string, limits: Partial<ProviderLimits> = {}) => ({
  provider: openaiProvider({ baseUrl: url, apiKey, largestAnswer: 200_000 }),
  limits: { ...deps.limits, provider: { ...patient, ...limits } },
})

export const json = (value: unknown): Turn => answers(JSON.stringify(value))

/** In the order they were said; for tests with one conversation. */
export const storedMessages = () =>
  database.select({ content: messages.content, status: messages.status }).from(messages).orderBy(messages.position)
