import { readdirSync } from 'node:fs'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Sources } from './metrics'

/**
 * The process itself, under the names that dashboards know. By hand, because most of prom-client's own default metrics
 * are about V8 and say nothing, or something else, on Bun.
 */
export function registerProcess({ version, delays }: Sources, registers: Registry[]): void {
  const gauge = (name: string, help: string, value: () => number | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const found = value()
        if (found === undefined) this.remove()
        else this.set(found)
      },
    })

  new Gauge({
    name: 'tenantry_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'bun'],
    registers,
  }).set({ version, bun: Bun.version }, 1)
  const startedAt = Math.round((Date.now() - process.uptime() * 1000) / 1000)
  gauge('process_start_time_seconds', 'When the process began, in seconds since 1970.', () => startedAt)
  gauge('process_resident_memory_bytes', 'Memory of the process (RSS).', () => process.memoryUsage.rss())
  gauge('process_heap_bytes', 'Memory of JavaScript values in use.', () => process.memoryUsage().heapUsed)
  gauge('process_open_fds', 'Open files and sockets; only where /proc says so.', openFiles)
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Time that the process had of a processor.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  new Gauge({
    name: 'tenantry_event_loop_delay_seconds',
    help: 'How much later than asked for timers ran, since these numbers were last read.',
    labelNames: ['quantile'],
    registers,
    collect() {
      const found = delays()
      this.reset()
      if (!found) return
      this.set({ quantile: '0.5' }, found.p50)
      this.set({ quantile: '0.99' }, found.p99)
      this.set({ quantile: '1' }, found.longest)
    },
  })
}

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}
