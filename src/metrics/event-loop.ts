import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How much later than asked for timers ran since the last time somebody looked, in seconds. */
export type Delays = { readonly p50: number; readonly p99: number; readonly longest: number }

/** Watches from now on, for as long as the process runs, and does not keep it running. */
export function watchEventLoop(): () => Delays | undefined {
  const histogram = monitorEventLoopDelay({ resolution: 50 })
  histogram.enable()
  return () => {
    if (histogram.count === 0) return undefined
    const seconds = (nanoseconds: number) => nanoseconds / 1e9
    const delays = {
      p50: seconds(histogram.percentile(50)),
      p99: seconds(histogram.percentile(99)),
      longest: seconds(histogram.max),
    }
    histogram.reset()
    return delays
  }
}
