import { describe, expect, test } from 'bun:test'
import { type Delays, watchEventLoop } from '../../src/metrics/event-loop'

/** What was measured, as soon as there is something. */
async function measured(delays: () => Delays | undefined): Promise<Delays> {
  for (;;) {
    const found = delays()
    if (found) return found
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('The delay of the event loop', () => {
  test('is how long something kept it from its timers', async () => {
    const delays = watchEventLoop()
    await measured(delays)
    Bun.sleepSync(200)

    const { longest } = await measured(delays)

    expect(longest).toBeGreaterThan(0.1)
    expect(longest).toBeLessThan(100) // seconds, not ms
  })

  test('is told once', async () => {
    const delays = watchEventLoop()
    await measured(delays)

    expect(delays()).toBeUndefined()
  })
})
