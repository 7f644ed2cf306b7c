import { openEgress } from '../../../src/egress/open'
import { systemClock } from '../../../src/ids'
import { openFiles } from '../../../src/plugins/files'
import type { PluginContext } from '../../../src/plugins/plugin'

const tenant_id = '01960000-0000-7000-8000-00000000000a'

/** What a plugin is given in a tenant that uses nothing and has no way out. */
export const contextOf = <Config>(config: Config): PluginContext<Config> => ({
  tenant_id,
  config,
  clock: systemClock,
  egress: openEgress({ allow: [], resolve: async () => [] }),
  files: openFiles(undefined)(tenant_id),
  usage: { daily: async () => [] },
  signal: new AbortController().signal,
})

/** What a plugin must have for the test to mean anything. */
export function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('The plugin does not have this part.')
  return part
}
