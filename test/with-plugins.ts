import type { TObject } from '@sinclair/typebox'
import type { Deps } from '../src/deps'
import { JobBell } from '../src/jobs/job'
import { everyTenant, jobKinds } from '../src/jobs/kinds'
import { JobWorker } from '../src/jobs/worker'
import { type ChatHooks, type Plugin, plugin, type Schedule, type Subscription, type Tool } from '../src/plugins/plugin'
import { shape } from '../src/schema'
import { type Client, outside } from '../src/testing'
import { deps, type Fixtures } from './kit'
import { speaking } from './speaking'

type AnyConfig = Record<string, unknown>
type Parts = {
  config?: TObject
  chat?: ChatHooks<AnyConfig>
  tools?: Tool<AnyConfig>[]
  events?: Subscription<AnyConfig>
  schedule?: Schedule<AnyConfig>
}

/** A plugin for one test. */
export const aPlugin = ({ config = shape({}), ...parts }: Parts, name = 'example'): Plugin =>
  plugin({ name, version: '1.0.0', description: 'Of a test.', config, ...parts } as Plugin)

type World = Pick<Fixtures, 'users'>

/**
 * The admin and the operator of tenant A, and the admin of tenant B, in an app that has these plugins; none is switched
 * on. Its jobs are worked on as those of the usual app are, and when the test says so.
 */
export function peopleWith({ users }: World, plugins: readonly Plugin[], changes: Partial<Deps> = {}) {
  const own: Deps = { ...deps, ...changes, plugins, jobBell: new JobBell() }
  const worker = new JobWorker(own, { kinds: jobKinds(own), everyTenant })
  own.jobBell.onRing(() => outside.background(() => own.lifetime.run(() => worker.runDue())))
  return {
    adminA: speaking(users.adminA, own),
    operatorA: speaking(users.operatorA, own),
    adminB: speaking(users.adminB, own),
    /** Runs what has become due. */
    work: () => worker.runDue(),
    /** Gives each tenant the recurring work that all have. */
    schedule: () => worker.ensureSchedules(),
  }
}

/** Switches plugins on that need no config. */
export async function switchOn(admin: Client, ...plugins: readonly Plugin[]): Promise<void> {
  for (const { name } of plugins) await admin.post(`/api/v1/plugins/${name}/enable`)
}

/** The operator of tenant A, in an app that has these plugins, all of them switched on. */
export async function operatorWith(world: World, ...plugins: Plugin[]): Promise<Client> {
  const { adminA, operatorA } = peopleWith(world, plugins)
  await switchOn(adminA, ...plugins)
  return operatorA
}
