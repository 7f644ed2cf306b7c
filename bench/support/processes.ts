import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

// Whoever stops a benchmark halfway stops what it started, too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** A server in a process of its own, as far as a measurement is concerned. */
export type Served = AsyncDisposable & { readonly origin: string; readonly pid: number }

export const secret = 'nV3kq8ZtW1yHc5Rm7XbJ2sLf9GdP4uAe'

const fromSource = [process.execPath, 'src/cli.ts']

/**
 * `tenantry serve` as it runs in production, on a free port; on Postgres as a plain role, which `databaseUrl`'s makes.
 * Resolves when it listens.
 */
export function startService(
  databaseUrl: string,
  env: Record<string, string> = {},
  program: readonly string[] = fromSource,
): Promise<Served> {
  const asService = Object.assign(new URL(databaseUrl), { username: 'service', password: 'bench' })
  return start([...program, 'serve'], {
    ...env,
    ...(asService.protocol === 'sqlite:'
      ? { DATABASE_URL: databaseUrl }
      : { DATABASE_URL: asService.href, MIGRATION_DATABASE_URL: databaseUrl }),
    JWT_SECRET: secret,
    PORT: '0',
    LOG_LEVEL: 'info',
  })
}

/** A program of this folder that prints its address on stderr. */
export const startProgram = (file: string, ...args: string[]): Promise<Served> =>
  start([process.execPath, join('bench', file), ...args], {})

async function start(args: string[], env: Record<string, string>): Promise<Served> {
  const own = Bun.spawn(args, {
    cwd: root,
    // Nothing of the caller's environment may change what is measured.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production', ...env },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  process.once('exit', () => own.kill('SIGKILL'))
  const address = Promise.withResolvers<string>()
  void (async () => {
    let said = ''
    let isKnown = false
    for await (const bytes of own.stderr) {
      // A line for every request comes here: it must cost whoever measures nothing.
      if (Buffer.from(bytes).includes('"level":"error"')) process.stderr.write(bytes)
      if (isKnown) continue
      said += Buffer.from(bytes).toString()
      const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
      isKnown = origin !== undefined
      if (origin) address.resolve(origin)
    }
    address.reject(new Error(`${args.join(' ')} ended before it listened:\n${said}`))
  })()
  return {
    origin: await address.promise,
    pid: own.pid,
    async [Symbol.asyncDispose]() {
      own.kill('SIGKILL')
      await own.exited
    },
  }
}

/** CPU time that a process has used so far, in ms; NaN where there is no /proc. Unlike throughput, it hardly depends on who else runs. */
export function cpuMs(pid: number): number {
  const path = `/proc/${pid}/stat`
  if (!existsSync(path)) return Number.NaN
  // After the name, which stands in brackets: fields 14 and 15, in ticks of 10 ms (proc_pid_stat(5)).
  const fields = readFileSync(path, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Memory of a process that is in RAM, in MB; NaN where there is no /proc. */
export function residentMb(pid: number): number {
  const path = `/proc/${pid}/status`
  if (!existsSync(path)) return Number.NaN
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(path, 'utf8'))?.[1]) / 1024
}
