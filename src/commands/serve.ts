import { type Config, readConfig, readListener } from '../config'
import type { Database } from '../database/database'
import { systemClock } from '../ids'
import { type Command, tenantId, withDatabase } from './command'
import { tokenSigner } from './token'

export const serveCommands: Record<string, Command> = {
  serve: {
    about: 'Bring the database up to date and serve until SIGTERM.',
    options: {
      demo: { type: 'boolean', help: 'fill an empty database with demo data, and print a request to paste' },
      'no-migrate': {
        type: 'boolean',
        help: 'leave the database as it is, and refuse one that is not up to date (as MIGRATE_ON_START=off)',
      },
    },
    run: async ({ demo, 'no-migrate': noMigrate }) => {
      const read = readConfig(process.env)
      const config = noMigrate ? { ...read, migrateOnStart: false } : read
      const { serve } = await import('../main')
      const { url, database } = await serve(config)
      return demo ? await invitation(config, url, database) : undefined
    },
  },
  health: {
    about: 'Ask the server on this machine, at HOST and PORT, whether it is ready; fails when not. For containers.',
    options: {},
    run: async () => {
      const { askReadiness } = await import('../health/ask')
      await askReadiness(readListener(process.env))
      return 'ready'
    },
  },
  migrate: {
    about: 'Bring the database up to date.',
    options: {},
    run: () => withDatabase(async () => 'The database is up to date.', { migrates: true }),
  },
}

/** What to do next, for somebody who has just started the service. */
async function invitation(config: Config, url: string, database: Database): Promise<string> {
  const [{ fillDemo }, { longestLifeSeconds }] = await Promise.all([import('../demo'), import('../auth/tokens')])
  const { acrossTenants } = await import('../database/reach')
  const [filled, tenant_id] = await acrossTenants('the demo is of two tenants', async () => [
    await fillDemo(database, systemClock),
    await tenantId(database, 'acme').catch(() => undefined),
  ])
  if (tenant_id === undefined)
    return `\n${url} is ready. The database has tenants of its own, so no demo was added; make a token with: bun run tenantry token --help\n`
  const sign = await tokenSigner(config)
  const bearer = await sign({ tenant_id, sub: 'olivia', role: 'operator' }, longestLifeSeconds)
  return `
${filled ? 'The database was empty and has demo data now: tenants acme and globex.' : 'The demo data is there from before.'}
Read the API at ${url}/openapi, see the usage at ${url}/dashboard, or chat (the token is good for a day):

curl -s ${url}/api/v1/chat \\
  -H 'Authorization: Bearer ${bearer}' \\
  -H 'Content-Type: application/json' \\
  -d '{"message": "Hello, what can you do?"}'
`
}
