import { describe, expect, test } from 'bun:test'
import { inTime, Watchdog } from '../../src/in-time'

const never = new Promise<never>(() => {})
const slowly = async <T>(value: T): Promise<T> => {
  await Bun.sleep(60)
  return value
}

describe('what may take only so long', () => {
  test('is waited for as long as it may take', async () => {
    expect(await inTime(Promise.resolve('done'), { ms: 60_000 })).toBe('done')
    expect(await inTime(Promise.resolve('done'), {})).toBe('done')
    await expect(inTime(Promise.reject(new Error('failed')), { ms: 60_000 })).rejects.toThrow('failed')
  })

  test('is not waited for any longer then', async () => {
    await expect(inTime(never, { ms: 1 })).rejects.toThrow('It took longer than 1 ms.')
    await expect(inTime(never, { ms: 1, late: (ms) => new Error(`late after ${ms}`) })).rejects.toThrow('late after 1')
  })

  test('is not waited for when nobody wants it any longer', async () => {
    const [left, gone] = [new AbortController(), AbortSignal.abort(new Error('gone before'))]

    const waiting = inTime(never, { ms: 60_000, signal: left.signal })
    left.abort(new Error('left'))

    await expect(waiting).rejects.toThrow('left')
    await expect(inTime(Promise.resolve('done'), { signal: gone })).rejects.toThrow('gone before')
  })
})

describe('one thing after the other', () => {
  test('has each its own time', async () => {
    const watchdog = new Watchdog({})

    await watchdog.waitFor(Promise.resolve(), 20)
    expect(await watchdog.waitFor(slowly('done'), 60_000)).toBe('done')
    expect(await watchdog.waitFor(slowly('done'))).toBe('done')
    await watchdog.waitFor(Promise.resolve(), 60_000)
    await expect(watchdog.waitFor(never, 1)).rejects.toThrow('It took longer than 1 ms.')
  })

  test('has its own time also where nobody waited when the timer rang', async () => {
    const watchdog = new Watchdog({})

    await watchdog.waitFor(Promise.resolve(), 1)
    await Bun.sleep(20)

    await expect(watchdog.waitFor(never, 1)).rejects.toThrow('It took longer than 1 ms.')
  })

  test('ends when nobody wants it any longer, now or before the next', async () => {
    const left = new AbortController()
    const watchdog = new Watchdog({ signal: left.signal })

    const waiting = watchdog.waitFor(never, 60_000)
    left.abort(new Error('left'))

    await expect(waiting).rejects.toThrow('left')
    await expect(watchdog.waitFor(Promise.resolve('done'), 60_000)).rejects.toThrow('left')
  })
})
