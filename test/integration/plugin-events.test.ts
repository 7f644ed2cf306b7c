import { Type } from '@sinclair/typebox'
import { EgressError } from '../../src/egress/egress'
import { eventTypes, type PluginEvent } from '../../src/plugins/events'
import { type Subscription, secret } from '../../src/plugins/plugin'
import { ProviderFailure } from '../../src/providers/provider'
import { shape } from '../../src/schema'
import { deps, describe, expect, test } from '../kit'
import { aPlugin, peopleWith, switchOn } from '../with-plugins'

type Heard = PluginEvent & { id: string }

/** Hears of everything, and does with it what it is told. */
function listener(react: (event: Heard, attempt: number) => void = () => {}) {
  const heard: Heard[] = []
  const events: Subscription<Record<string, unknown>> = {
    types: () => eventTypes,
    run: async (event) => {
      heard.push(event)
      react(event, heard.filter(({ id }) => id === event.id).length)
    },
  }
  const forget = () => void heard.splice(0)
  return { heard, forget, plugin: aPlugin({ events }) }
}

describe('An event', () => {
  test('tells of a message and its reply', async (world) => {
    const { heard, forget, plugin } = listener()
    const { adminA, operatorA } = peopleWith(world, [plugin])
    await switchOn(adminA, plugin)
    await world.settle()
    forget()
    world.model.says('Hello', { prompt_tokens: 3, completion_tokens: 1 })

    const { body: reply } = await operatorA.post('/api/v1/chat', { message: 'Hello?' })

    await world.settle()
    const common = { conversation_id: reply.conversation_id, user_id: world.users.operatorA.id }
    expect(heard).toEqual([
      {
        id: expect.any(String),
        type: 'message.created',
        occurred_at: '2026-03-02T09:00:00.000Z',
        data: { ...common, message_id: expect.any(String) },
      },
      {
        id: expect.any(String),
        type: 'reply.completed',
        occurred_at: '2026-03-02T09:00:00.000Z',
        data: {
          ...common,
          message_id: reply.message_id,
          model: 'scripted',
          prompt_tokens: 3,
          completion_tokens: 1,
          latency_ms: expect.any(Number),
        },
      },
    ])
  })

  test('tells of a reply that failed, with its code', async (world) => {
    const { heard, plugin } = listener()
    const { adminA, operatorA } = peopleWith(world, [plugin])
    await switchOn(adminA, plugin)
    world.model.fails(new ProviderFailure('no', 'failed'))

    await operatorA.post('/api/v1/chat', { message: 'Hello?' })

    await world.settle()
    expect(heard.at(-1)).toMatchObject({
      type: 'reply.failed',
      data: { code: 'provider_unavailable', model: 'scripted', message_id: expect.any(String) },
    })
  })

  test('does not reach a plugin that cannot say what it wants, which is logged without its secrets', async (world) => {
    const config = shape({ token: secret() })
    const types = ({ token }: Record<string, unknown>) => {
      throw new Error(`no list for ${token}`)
    }
    const confused = aPlugin({ config, events: { types, run: async () => {} } })
    const { heard, plugin } = listener()
    const warned: unknown[] = []
    const reporter = { ...deps.reporter, warn: (...said: unknown[]) => void warned.push(said) }
    const { adminA, operatorA } = peopleWith(world, [{ ...confused, name: 'confused' }, plugin], { reporter })
    await adminA.post('/api/v1/plugins/confused/enable', { config: { token: 'canary-4c1e' } })
    await switchOn(adminA, plugin)
    await world.settle()
    world.model.says('Hello')
    warned.length = 0

    const { status } = await operatorA.post('/api/v1/chat', { message: 'Hello?' })

    await world.settle()
    const said = [
      'A plugin failed: events: Error: no list for ********',
      { plugin: 'confused', tenant_id: world.tenantA.id },
    ]
    expect(status).toBe(200)
    expect(warned).toEqual([said, said])
    expect(heard.slice(-2).map(({ type }) => type)).toEqual(['message.created', 'reply.completed'])
  })

  test('tells of a plugin that was switched on, once', async (world) => {
    const { heard, plugin } = listener()
    const { adminA } = peopleWith(world, [plugin])

    await switchOn(adminA, plugin)
    await switchOn(adminA, plugin)

    await world.settle()
    expect(heard).toMatchObject([
      { type: 'plugin.enabled', data: { plugin: 'example', user_id: world.users.adminA.id } },
    ])
  })

  test('tells of a new user', async (world) => {
    const { heard, forget, plugin } = listener()
    const { adminA } = peopleWith(world, [plugin])
    await switchOn(adminA, plugin)
    await world.settle()
    forget()

    const { body: kim } = await adminA.post('/api/v1/admin/users', {
      external_id: 'kim',
      email: 'kim@acme.example',
      role: 'viewer',
    })

    await world.settle()
    expect(heard).toMatchObject([{ type: 'user.created', data: { user_id: kim.id, role: 'viewer' } }])
  })

  test('tells of a day when it is over, once, with its figures', async (world) => {
    const { heard, forget, plugin } = listener()
    const { adminA, operatorA, work, schedule } = peopleWith(world, [plugin])
    await schedule()
    await switchOn(adminA, plugin)
    world.model.says('Hello', { prompt_tokens: 3, completion_tokens: 1 })
    await operatorA.post('/api/v1/chat', { message: 'Hello?' })
    await operatorA.get('/api/v1/plugins/nothing')
    await world.settle()
    forget()
    world.clock.advance({ days: 1 })

    await work()
    await work()

    expect(heard.filter(({ type }) => type === 'daily_summary.ready')).toEqual([
      {
        id: expect.any(String),
        type: 'daily_summary.ready',
        occurred_at: '2026-03-03T09:00:00.000Z',
        data: {
          day: '2026-03-02',
          total_requests: 3,
          error_count: 1,
          total_tokens: 4,
          total_messages: 2,
          unique_users: 2,
        },
      },
    ])
  })

  test('is not told where what caused it was undone', async (world) => {
    const { heard, forget, plugin } = listener()
    const { adminA } = peopleWith(world, [plugin])
    await switchOn(adminA, plugin)
    await world.settle()
    forget()

    const taken = await adminA.post('/api/v1/admin/users', {
      external_id: 'vera',
      email: 'vera@acme.example',
      role: 'viewer',
    })

    await world.settle()
    expect(taken.status).toBe(409)
    expect(heard).toEqual([])
  })

  test("is told to the plugins of its tenant, and to no other tenant's", async (world) => {
    const { heard, forget, plugin } = listener()
    const { adminA, adminB } = peopleWith(world, [plugin])
    await switchOn(adminB, plugin)
    await world.settle()
    forget()
    world.model.says('Hello').says('Hello')

    await adminA.post('/api/v1/chat', { message: 'Hello?' })
    await adminB.post('/api/v1/chat', { message: 'Hello?' })

    await world.settle()
    const { body: ofA } = await adminA.get('/api/v1/admin/jobs')
    expect(heard.map(({ data }) => 'user_id' in data && data.user_id)).toEqual([
      world.users.adminB.id,
      world.users.adminB.id,
    ])
    expect(ofA).toEqual([])
  })

  test('comes only where the tenant chose it', async (world) => {
    const heard: string[] = []
    const choosy = aPlugin({
      config: shape({ only: Type.String() }),
      events: {
        types: ({ only }) => eventTypes.filter((type) => type === only),
        run: async ({ type }) => void heard.push(type),
      },
    })
    const { adminA, operatorA } = peopleWith(world, [choosy])
    await adminA.post('/api/v1/plugins/example/enable', { config: { only: 'reply.completed' } })
    world.model.says('Hello')

    await operatorA.post('/api/v1/chat', { message: 'Hello?' })

    await world.settle()
    expect(heard).toEqual(['reply.completed'])
  })

  test('is dropped where its plugin was switched off meanwhile', async (world) => {
    const { heard, plugin } = listener(() => {
      throw new Error('not now')
    })
    const { adminA, work } = peopleWith(world, [plugin])
    await switchOn(adminA, plugin)
    await world.settle()
    await adminA.post('/api/v1/plugins/example/disable')
    world.clock.advance({ minutes: 30 })

    await work()

    expect(heard).toHaveLength(1)
    expect((await adminA.get('/api/v1/admin/jobs')).body).toMatchObject([{ state: 'done', attempts: 2 }])
  })
})

describe('A plugin that fails at an event', () => {
  test('is told again later, with the same id, and the failure is in its state', async (world) => {
    const { heard, plugin } = listener((_, attempt) => {
      if (attempt === 1) throw new Error('not now')
    })
    const { adminA, work } = peopleWith(world, [plugin])
    await switchOn(adminA, plugin)
    await world.settle()
    const { body: failed } = await adminA.get('/api/v1/plugins/example')
    const { body: waiting } = await adminA.get('/api/v1/admin/jobs')
    world.clock.advance({ minutes: 30 })

    await work()

    const { body: done } = await adminA.get('/api/v1/admin/jobs')
    expect(failed.last_failure).toEqual({
      at: '2026-03-02T09:00:00.000Z',
      message: 'event plugin.enabled: Error: not now',
      count: 1,
    })
    expect(waiting).toMatchObject([{ kind: 'plugin.event', state: 'queued', attempts: 1 }])
    expect(done).toMatchObject([{ kind: 'plugin.event', state: 'done', attempts: 2 }])
    expect(heard[0]).toEqual(heard[1])
  })

  test('for good, where it may not go there, is not told again; an admin can have it tried anew', async (world) => {
    const { heard, plugin } = listener((_, attempt) => {
      if (attempt === 1) throw new EgressError('10.0.0.1 is a private address.', 'refused')
    })
    const { adminA } = peopleWith(world, [plugin])
    await switchOn(adminA, plugin)
    await world.settle()
    const { body: dead } = await adminA.get('/api/v1/admin/jobs')

    const retried = await adminA.post(`/api/v1/admin/jobs/${dead[0].id}/retry`)

    await world.settle()
    expect(dead).toMatchObject([{ state: 'dead', attempts: 1, last_error: '10.0.0.1 is a private address.' }])
    expect(retried).toMatchObject({ status: 200, body: { state: 'queued', attempts: 0 } })
    expect((await adminA.get('/api/v1/admin/jobs')).body).toMatchObject([{ state: 'done', attempts: 1 }])
    expect((await adminA.get('/api/v1/admin/audit?limit=1')).body).toMatchObject([
      { action: 'job.retried', subject: dead[0].id, user_id: world.users.adminA.id },
    ])
    expect(heard).toHaveLength(2)
  })
})

describe('A plugin with a schedule', () => {
  const nightly = (times: string[]) =>
    aPlugin({
      config: shape({ cron: Type.Optional(Type.String()) }),
      schedule: {
        cron: ({ cron }) => cron as string | undefined,
        run: async ({ at }, { tenant_id }) => void times.push(`${tenant_id} ${at.toISOString()}`),
      },
    })

  test('works when it is due, for the tenant that wants it', async (world) => {
    const times: string[] = []
    const { adminA, adminB, work } = peopleWith(world, [nightly(times)])
    await adminA.post('/api/v1/plugins/example/enable', { config: { cron: '0 3 * * *' } })
    await adminB.post('/api/v1/plugins/example/enable')
    world.clock.advance({ days: 1 })

    await work()

    expect(times).toEqual([`${world.tenantA.id} 2026-03-03T03:00:00.000Z`])
  })

  test('does not work where it was switched off', async (world) => {
    const times: string[] = []
    const { adminA, work } = peopleWith(world, [nightly(times)])
    await adminA.post('/api/v1/plugins/example/enable', { config: { cron: '*/5 * * * *' } })
    await adminA.post('/api/v1/plugins/example/disable')
    world.clock.advance({ minutes: 10 })

    await work()

    expect(times).toEqual([])
    expect((await adminA.get('/api/v1/admin/jobs')).body).toEqual([])
  })

  test('follows a change of its config', async (world) => {
    const times: string[] = []
    const { adminA, work } = peopleWith(world, [nightly(times)])
    await adminA.post('/api/v1/plugins/example/enable', { config: { cron: '0 3 * * *' } })
    await adminA.patch('/api/v1/plugins/example/config', { cron: '0 15 * * *' })
    world.clock.advance({ days: 1 })

    await work()

    expect(times).toEqual([`${world.tenantA.id} 2026-03-02T15:00:00.000Z`])
  })
})
