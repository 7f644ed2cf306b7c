import { describe, expect, test } from 'bun:test'
import { Type } from '@sinclair/typebox'
import { verdict } from '../../src/jobs/failure'
import { HopelessJob, RetryAfter } from '../../src/jobs/job'

const kind = { name: 'any', payload: Type.Object({}), mostAttempts: 20, timeoutMs: 1, run: async () => {} }
const error = new Error('again')
const second = 1000
const hour = 3600 * second

describe('The wait before the next attempt', () => {
  const waits: [number, number, number][] = [
    [1, 1 * second, 10 * second],
    [2, 1 * second, 20 * second],
    [3, 1 * second, 40 * second],
    [9, 1 * second, 2560 * second],
    [10, 1 * second, hour],
    [19, 1 * second, hour],
  ]
  test.each(waits)('after attempt %d is any from %d to %d ms', (attempts, least, most) => {
    const bounds = [0, 1].map((chance) => verdict(kind, attempts, error, chance))
    const between = verdict(kind, attempts, error, 0.5)

    expect(bounds).toEqual([
      { state: 'queued', afterMs: least },
      { state: 'queued', afterMs: most },
    ])
    expect(between).toEqual({ state: 'queued', afterMs: (least + most) / 2 })
  })

  const asked: [number, number][] = [
    [0, 1 * second],
    [-5, 1 * second],
    [Number.NaN, 1 * second],
    [300, 300 * second],
    [86_401, 24 * hour],
    [Number.POSITIVE_INFINITY, 24 * hour],
  ]
  test.each(asked)('where the other side asks for %d s is at least %d ms', (seconds, afterMs) => {
    const next = verdict(kind, 1, new RetryAfter('busy', seconds), 0)

    expect(next).toEqual({ state: 'queued', afterMs })
  })

  test('does not come after the last attempt, nor where it is no use', () => {
    const last = verdict(kind, 20, error, 0)
    const hopeless = verdict(kind, 1, new HopelessJob('gone'), 0)

    expect([last, hopeless]).toEqual([{ state: 'dead' }, { state: 'dead' }])
    expect(verdict(kind, 19, error, 0)).toMatchObject({ state: 'queued' })
  })
})
