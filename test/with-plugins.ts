import type { TObject } from '@sinclair/typebox'
import { tenant_plugins } from '../src/database/tables'
import { type ChatHooks, type Plugin, plugin, type Tool } from '../src/plugins/plugin'
import { shape } from '../src/schema'
import { database, type Fixtures, startsAt } from './kit'
import { speaking } from './speaking'

type Parts = {
  config?: TObject
  chat?: ChatHooks<Record<string, unknown>>
  tools?: Tool<Record<string, unknown>>[]
  events?: Plugin['events']
}

/** A plugin for one test. */
export const aPlugin = ({ config = shape({}), ...parts }: Parts, name = 'example'): Plugin =>
  plugin({ name, version: '1.0.0', description: 'Of a test.', config, ...parts } as Plugin)

type World = Pick<Fixtures, 'users' | 'tenantA'>

/** Switches these on for tenant A. */
export async function switchOn({ tenantA }: World, ...plugins: Plugin[]): Promise<void> {
  const stamps = { created_at: startsAt, updated_at: startsAt }
  for (const { name } of plugins) {
    const row = { tenant_id: tenantA.id, name, is_enabled: true, config: {}, ...stamps }
    await database.insert(tenant_plugins).values(row)
  }
}

/** The operator of tenant A, in an app that has these plugins, all of them switched on. */
export async function operatorWith(world: World, ...plugins: Plugin[]) {
  await switchOn(world, ...plugins)
  return speaking(world.users.operatorA, { plugins })
}
