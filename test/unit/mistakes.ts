import { ConfigError, readConfig } from '../../src/config'

/** What is wrong with an environment, in words; empty where nothing is. */
export function mistakesIn(env: Record<string, string | undefined>): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
}
