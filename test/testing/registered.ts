import type { AnyElysia } from 'elysia'
import { type Client, client } from '../../src/testing'
import type { Register } from '../../src/testing/routes'
import type { Fixtures } from '../kit'

/** What a sweep would have registered as tests, to be run inside a test of ours. */
export function registered(register: (test: Register<Fixtures>) => void) {
  const checks = new Map<string, (all: Fixtures) => unknown>()
  register((name, body) => void checks.set(name, body))
  return {
    names: [...checks.keys()],
    /** The message of the check's failure; `passed` without one. */
    async outcome(name: string, all: Fixtures): Promise<string> {
      const check = checks.get(name)
      if (!check) throw new Error(`No check has the name ${name}.`)
      try {
        await check(all)
        return 'passed'
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    },
  }
}

/** Speaks with an app of the test's own, whose statements go to the test's ledger. */
export const speakingWith = (app: AnyElysia, { ledger }: Fixtures, headers: Record<string, string>): Client =>
  client(
    (request) => ledger.request(request.method, new URL(request.url).pathname, async () => await app.handle(request)),
    () => headers,
  )
