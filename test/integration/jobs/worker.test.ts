import { eq } from 'drizzle-orm'
import { tenants } from '../../../src/database/tables'
import { EgressError } from '../../../src/egress/egress'
import { HopelessJob, type JobContext, RetryAfter } from '../../../src/jobs/job'
import { leaseTable } from '../../../src/jobs/leases'
import { enqueue, enqueueAll } from '../../../src/jobs/queue'
import { database, describe, expect, startsAt, test } from '../../kit'
import { after, all, note, noting, stored, working } from './working'

describe('A worker', () => {
  test('runs a due job for its tenant, once', async ({ tenantA }) => {
    const ran: [unknown, JobContext][] = []
    const { jobDeps, worker } = working([noting((payload, context) => void ran.push([payload, context]))])
    const id = await enqueue(jobDeps, tenantA.id, note('hello'))

    await worker.runDue()
    await worker.runDue()

    const context = { tenant_id: tenantA.id, id: String(id), attempt: 1, signal: expect.any(AbortSignal) }
    expect(ran).toEqual([[{ text: 'hello' }, context]])
    expect(await all()).toMatchObject([{ state: 'done', attempts: 1, lease_id: null, last_error: null }])
  })

  test('waits until a job is due', async ({ tenantA, clock }) => {
    const ran: string[] = []
    const { jobDeps, worker } = working([noting(({ text }) => void ran.push(text))])
    await enqueue(jobDeps, tenantA.id, note('later', { dueAt: after(60, startsAt) }))

    clock.advance({ seconds: 59 })
    await worker.runDue()
    const early = [...ran]
    clock.advance({ seconds: 1 })
    await worker.runDue()

    expect([early, ran]).toEqual([[], ['later']])
  })

  test('begins with what has been due for the longest time', async ({ tenantA, tenantB, clock }) => {
    const ran: string[] = []
    const { jobDeps, worker } = working([noting(({ text }) => void ran.push(text))], { concurrency: 1 })
    await enqueue(jobDeps, tenantA.id, note('third', { dueAt: after(3, startsAt) }))
    await enqueue(jobDeps, tenantB.id, note('first', { dueAt: after(1, startsAt) }))
    await enqueue(jobDeps, tenantA.id, note('second', { dueAt: after(2, startsAt) }))
    clock.advance({ seconds: 5 })

    await worker.runDue()

    expect(ran).toEqual(['first', 'second', 'third'])
  })

  test('runs what its jobs queue', async ({ tenantA }) => {
    const ran: string[] = []
    const { jobDeps, worker } = working([
      noting(async ({ text }, { tenant_id }) => {
        ran.push(text)
        if (text.length < 3) await enqueue(jobDeps, tenant_id, note(`${text}!`))
      }),
    ])
    await enqueue(jobDeps, tenantA.id, note('a'))

    await worker.runDue()

    expect(ran).toEqual(['a', 'a!', 'a!!'])
  })

  test('runs as many at the same time as it is told, and no more', async ({ tenantA }) => {
    const full = Promise.withResolvers<void>()
    let [running, most] = [0, 0]
    const { jobDeps, worker } = working(
      [
        noting(async () => {
          most = Math.max(most, ++running)
          if (running === 3) full.resolve()
          await full.promise // never, were there not three at once
          running--
        }),
      ],
      { concurrency: 3 },
    )
    await enqueueAll(
      jobDeps,
      tenantA.id,
      Array.from({ length: 10 }, (_, n) => note(`${n}`)),
    )

    await worker.runDue()

    expect(most).toBe(3)
    expect((await all()).map(({ state }) => state)).toEqual(Array(10).fill('done'))
  })

  test('leaves a job of a kind that it does not know to those who do', async ({ tenantA }) => {
    const { jobDeps, worker } = working([noting(() => {}, { name: 'known' })])
    await enqueue(jobDeps, tenantA.id, note('of tomorrow', { kind: 'unknown' }))
    await enqueue(jobDeps, tenantA.id, note('of today', { kind: 'known' }))

    await worker.runDue()

    expect(await all()).toMatchObject([
      { kind: 'unknown', state: 'queued', attempts: 0 },
      { kind: 'known', state: 'done', attempts: 1 },
    ])
  })

  test('cannot be made with two kinds of one name', () => {
    const kind = noting(() => {})

    expect(() => working([kind, kind])).toThrow('Two kinds of jobs have the same name.')
    expect(() => working([kind, { ...kind, name: 'other' }])).not.toThrow()
  })
})

describe('A job that fails', () => {
  test('is tried again after 10 s, then 20 s, and is dead when its attempts are used up', async ({
    tenantA,
    clock,
  }) => {
    const attempts: number[] = []
    const { jobDeps, worker } = working([
      noting((_, { attempt }) => {
        attempts.push(attempt)
        throw new RetryAfter('The other side is busy.', 0)
      }),
    ])
    const id = await enqueue(jobDeps, tenantA.id, note('no use'))

    const states = []
    for (const seconds of [10, 20, 40]) {
      await worker.runDue()
      states.push(await stored(id))
      clock.advance({ seconds })
    }
    await worker.runDue()

    const last_error = 'The other side is busy.'
    expect(states).toEqual([
      { state: 'queued', attempts: 1, due_at: after(10, startsAt), last_error },
      { state: 'queued', attempts: 2, due_at: after(30, startsAt), last_error },
      { state: 'dead', attempts: 3, due_at: null, last_error },
    ])
    expect(attempts).toEqual([1, 2, 3])
  })

  test('is done when a later attempt succeeds, and its error is forgotten', async ({ tenantA, clock }) => {
    const { jobDeps, worker } = working([
      noting((_, { attempt }) => {
        if (attempt === 1) throw new RetryAfter('Not yet.', 0)
      }),
    ])
    const id = await enqueue(jobDeps, tenantA.id, note('second time'))
    await worker.runDue()
    clock.advance({ seconds: 10 })

    await worker.runDue()

    expect(await stored(id)).toMatchObject({ state: 'done', attempts: 2, last_error: null })
  })

  test('is dead at once when it says that trying again is no use', async ({ tenantA }) => {
    const { jobDeps, worker } = working([
      noting(() => {
        throw new HopelessJob('The webhook is gone.')
      }),
    ])
    const id = await enqueue(jobDeps, tenantA.id, note('hopeless'))

    await worker.runDue()

    expect(await stored(id)).toMatchObject({ state: 'dead', attempts: 1, last_error: 'The webhook is gone.' })
  })

  test('waits as long as it was asked to', async ({ tenantA }) => {
    const { jobDeps, worker } = working([
      noting(() => {
        throw new RetryAfter('Too many requests.', 300)
      }),
    ])
    const id = await enqueue(jobDeps, tenantA.id, note('patient'))

    await worker.runDue()

    expect(await stored(id)).toMatchObject({ state: 'queued', due_at: after(300, startsAt) })
  })

  test('fails when its time is over, and is told', async ({ tenantA }) => {
    const signals: AbortSignal[] = []
    const { jobDeps, worker } = working([
      noting(
        (_, { signal }) => {
          signals.push(signal)
          return new Promise(() => {})
        },
        { timeoutMs: 5 },
      ),
    ])
    const id = await enqueue(jobDeps, tenantA.id, note('hangs'))

    await worker.runDue()

    expect(await stored(id)).toMatchObject({ state: 'queued', attempts: 1, last_error: 'It took longer than 5 ms.' })
    expect(signals[0]?.aborted).toBe(true)
  })

  const secret = 'sk-planted-7f3a'
  const errors: [string, unknown, string][] = [
    ["a library's", new TypeError(`fetch failed for https://hooks.example/${secret}`), 'TypeError'],
    ['one with a code', Object.assign(new Error(`535 ${secret}`), { code: 'EAUTH' }), 'Error EAUTH'],
    ['what is no error', secret, 'Something was thrown that is not an error.'],
    ['an egress one', new EgressError('No answer from hooks.example.', 'failed'), 'No answer from hooks.example.'],
    ['our own, in one line', new RetryAfter('Wait\r\n\u001b[31mnow', 0), 'Wait   [31mnow'],
    ['our own, cut', new RetryAfter('x'.repeat(10_000), 0), 'x'.repeat(500)],
  ]
  test.each(errors)('says why without secrets: %s', async (_, error, last_error, { tenantA }) => {
    const logged: unknown[] = []
    const reporter = { info() {}, unexpected() {}, warn: (...said: unknown[]) => void logged.push(said) }
    const kind = noting(() => {
      throw error
    })
    const { jobDeps, worker } = working([kind], {}, { reporter })
    const id = await enqueue(jobDeps, tenantA.id, note('fails'))

    await worker.runDue()

    expect(await stored(id)).toMatchObject({ state: 'queued', last_error })
    expect(logged).toEqual([
      [
        'A job failed and is tried again.',
        { kind: 'note', job: id, tenant: tenantA.id, attempt: 1, error: last_error },
      ],
    ])
  })

  test('does not keep others from being done', async ({ tenantA }) => {
    const kind = noting(({ text }) => {
      if (text === 'bad') throw new HopelessJob('Bad.')
    })
    const { jobDeps, worker } = working([kind], { concurrency: 1 })
    await enqueueAll(jobDeps, tenantA.id, [note('good'), note('bad'), note('good')])

    await worker.runDue()

    expect((await all()).map(({ state }) => state)).toEqual(['done', 'dead', 'done'])
  })
})

describe('A job that is refused', () => {
  test('has a payload that is not what its kind takes', async ({ tenantA }) => {
    const ran: string[] = []
    const { jobDeps, worker } = working([noting(({ text }) => void ran.push(text))])
    const wrong = [{}, { text: 7 }, { text: 'x', tenant_id: 'other' }]
    await enqueueAll(
      jobDeps,
      tenantA.id,
      [...wrong, { text: 'right' }].map((payload) => ({ kind: 'note', payload })),
    )

    await worker.runDue()

    expect(ran).toEqual(['right'])
    expect((await all()).map(({ state, last_error }) => [state, last_error])).toEqual([
      ['dead', 'Its payload is not what the kind takes, at /text.'],
      ['dead', 'Its payload is not what the kind takes, at /text.'],
      ['dead', 'Its payload is not what the kind takes, at /tenant_id.'],
      ['done', null],
    ])
  })

  test('has a tenant that is out of service', async ({ tenantA, tenantB }) => {
    const ran: string[] = []
    const { jobDeps, worker } = working([noting((_, { tenant_id }) => void ran.push(tenant_id))])
    const id = await enqueue(jobDeps, tenantA.id, note('refused'))
    await enqueue(jobDeps, tenantB.id, note('done'))
    await database.update(tenants).set({ is_active: false }).where(eq(tenants.id, tenantA.id))

    await worker.runDue()

    expect(ran).toEqual([tenantB.id])
    expect(await stored(id)).toMatchObject({ state: 'dead', last_error: 'Its tenant is out of service.' })
  })

  test('has ended its process at every attempt', async ({ tenantA, clock }) => {
    const ran: string[] = []
    const { jobDeps, worker } = working([noting(({ text }) => void ran.push(text))])
    const id = await enqueue(jobDeps, tenantA.id, note('poison'))
    // A process that takes it and says nothing more.
    const dying = leaseTable(database, ['note'])
    for (let attempt = 1; attempt <= 3; attempt++) {
      await dying.claim(clock.now(), after(60, clock.now()))
      clock.advance({ seconds: 60 })
    }

    await worker.runDue()

    expect(ran).toEqual([])
    expect(await stored(id)).toMatchObject({
      state: 'dead',
      attempts: 3,
      last_error: 'Every attempt ended with its process or its lease.',
    })
  })
})
