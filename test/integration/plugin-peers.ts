import { tenant_plugins } from '../../src/database/tables'
import type { Deps } from '../../src/deps'
import { openEgress } from '../../src/egress/open'
import { HopelessJob, RetryAfter } from '../../src/jobs/job'
import { sealConfig } from '../../src/plugins/config'
import type { PluginEvent } from '../../src/plugins/events'
import { contextOf } from '../../src/plugins/guard'
import type { DailyUsage, Plugin, PluginContext } from '../../src/plugins/plugin'
import { database, deps, startsAt } from '../kit'

export const tenant_id = '019cacd5-0000-7000-8000-00000000000a'
export const eventId = '019cacd5-2880-7000-8000-0000000000e1'

export const replied: PluginEvent & { readonly id: string } = {
  id: eventId,
  type: 'reply.completed',
  occurred_at: '2026-03-02T08:59:58.000Z',
  data: {
    conversation_id: 'conversation-1',
    message_id: 'message-2',
    user_id: 'user-3',
    model: 'small-model',
    prompt_tokens: 12,
    completion_tokens: 34,
    latency_ms: 56,
  },
}

type World = Partial<Pick<Deps, 'clock' | 'egress' | 'files'>> & { usage?: DailyUsage[]; signal?: AbortSignal }

/** What a job gives a plugin to work with: past the guard, to peers on this machine. */
export function atWork(config: Record<string, unknown>, { usage = [], signal, ...changes }: World = {}) {
  const world = { ...deps, clock: { now: () => startsAt }, egress: openEgress({ allow: ['127.0.0.1'] }), ...changes }
  const context = contextOf(world, tenant_id, config, signal ?? new AbortController().signal)
  const asked: unknown[] = []
  const reader: PluginContext<unknown>['usage'] = {
    daily: async (range) => {
      asked.push(range)
      return usage
    },
  }
  return { ...context, usage: reader, asked }
}

/** What became of it: nothing, or what a job makes of the error. */
export const outcome = (work: Promise<void> | undefined): Promise<unknown> =>
  Promise.resolve(work).then(
    () => 'done',
    (error: unknown) => {
      if (error instanceof HopelessJob) return { hopeless: error.message }
      if (error instanceof RetryAfter) return { later: error.message, seconds: error.seconds }
      return error instanceof Error ? { again: error.message } : error
    },
  )

/** Switches a plugin on for a tenant, with its config stored as it is in life. */
export async function storeEnabled(tenant_id: string, plugin: Plugin, config: Record<string, unknown>): Promise<void> {
  const stored = sealConfig(deps.sealer, [tenant_id, plugin.name], plugin, config)
  const stamps = { created_at: startsAt, updated_at: startsAt }
  await database.insert(tenant_plugins).values({ tenant_id, name: plugin.name, is_enabled: true, ...stored, ...stamps })
}

export type Received = { method: string; path: string; headers: Record<string, string>; body: string }

/** An HTTP server on this machine that remembers what it was sent; the answers come in turn, the last one again and again. */
export function receiver(...answers: (() => Response)[]) {
  const received: Received[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname, search } = new URL(request.url)
      const answer = answers[Math.min(received.length, answers.length - 1)]
      received.push({
        method: request.method,
        path: pathname + search,
        headers: request.headers.toJSON(),
        body: await request.text(),
      })
      return answer?.() ?? new Response('ok')
    },
  })
  return { url: server.url.origin, received, [Symbol.asyncDispose]: () => server.stop(true) }
}
