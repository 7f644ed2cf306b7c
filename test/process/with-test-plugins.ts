import type { Plugin } from '../../src/plugins/plugin'
import { plugins } from '../../src/plugins/registry'
import { testPlugins } from '../plugins'

// Loaded into a server before anything else: its registry has our plugins too, whichever others there are.
const registry = plugins as Plugin[]
registry.push(...testPlugins)
