import { usageReader } from '../analytics/usage'
import type { Deps } from '../deps'
import { AppError } from '../errors'
import { inTime } from '../in-time'
import { describe } from '../reporter'
import { secretsOf } from './config'
import type { Enabled } from './enabled'
import { recordFailure, withoutSecrets } from './failures'
import type { PluginContext } from './plugin'

/** A plugin of one tenant, at work for as long as `signal` is not aborted. */
export type Working = { readonly deps: Deps; readonly tenant_id: string; readonly signal: AbortSignal }

type Rule<T> = {
  /** Names the hook in the log. */
  doing: string
  deadlineMs: number
  /** False for nonsense. */
  isSense(result: T): boolean
}

/**
 * Runs a plugin's code so that it harms nothing but itself: what it throws, an answer that makes no sense and one that
 * does not come are reported, counted in the plugin's state, and `failed` here. Code that never yields cannot be stopped.
 */
export async function guarded<T>(
  { deps, tenant_id, signal }: Working,
  { plugin, config }: Enabled,
  { doing, deadlineMs, isSense }: Rule<T>,
  run: (context: PluginContext<Record<string, unknown>>) => T | Promise<T>,
): Promise<{ result: T } | { failed: unknown }> {
  const stop = new AbortController()
  const leave = () => stop.abort(signal.reason)
  const late = () => {
    const reason = new Error(`The plugin did not answer within ${deadlineMs} ms.`)
    stop.abort(reason)
    return reason
  }
  signal.addEventListener('abort', leave, { once: true })
  try {
    const answer = run(contextOf(deps, tenant_id, config, stop.signal))
    const result =
      answer instanceof Promise ? await inTime(answer, { ms: deadlineMs, late, signal: stop.signal }) : answer
    if (!isSense(result)) throw new Error('The plugin answered with something that its contract does not know.')
    return { result }
  } catch (error) {
    // Who left is not the plugin's fault.
    if (signal.aborted) throw signal.reason
    noteFailure(deps, tenant_id, { plugin, config }, doing, error)
    return { failed: error }
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** Says so in the log and in the plugin's state; nobody waits for it. */
export function noteFailure(deps: Deps, tenant_id: string, enabled: Enabled, doing: string, error: unknown): void {
  const [{ name }, words] = [enabled.plugin, `${doing}: ${wordsOf(enabled, error)}`]
  deps.reporter.warn(`A plugin failed: ${words}`, { plugin: name, tenant_id })
  deps.lifetime.run(() => recordFailure(deps, tenant_id, name, words))
}

/** For a plugin whose work the tenant declared necessary. */
export const refusedFor = (enabled: Enabled, cause: unknown): AppError =>
  new AppError(
    'internal',
    `The plugin ${enabled.plugin.name}, without which this tenant does not chat, could not do its work; try again.`,
    {
      cause: new Error(wordsOf(enabled, cause)),
      retryAfterSeconds: 1,
    },
  )

/** What a plugin threw, for the log: a library's error may quote the secret that it was given. */
export function wordsOf({ plugin, config }: Enabled, error: unknown): string {
  const secrets = secretsOf(plugin).map((name) => config[name])
  const texts = secrets.filter((secret) => typeof secret === 'string')
  return withoutSecrets(describe(error), texts)
}

export function contextOf(
  deps: Deps,
  tenant_id: string,
  config: Record<string, unknown>,
  signal: AbortSignal,
): PluginContext<Record<string, unknown>> {
  const { clock, egress, files } = deps
  return { tenant_id, config, clock, egress, files: files(tenant_id), usage: usageReader(deps, tenant_id), signal }
}
