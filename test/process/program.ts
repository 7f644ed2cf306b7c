import { join } from 'node:path'
import type { Role } from '../../src/auth/policy'
import { signToken } from '../../src/auth/tokens'
import { connect } from '../../src/database/database'
import { migrate } from '../../src/database/migrate'
import { asTenant } from '../../src/database/reach'
import { systemClock } from '../../src/ids'
import { createTenant } from '../../src/tenants/store'
import { createUser } from '../../src/users/store'

const cli = join(import.meta.dir, '../../src/cli.ts')
export const jwtSecret = 'kR7v2XwQ9mZp4TnB8sLd3FhJ6cYg1AeU'

type Environment = Record<string, string>

/** Bun, without the .env that whoever runs the tests may have for compose.yaml. */
const bun = [process.execPath, '--no-env-file']

/** Runs a command to its end with nothing in its environment but what is given. */
export async function tenantry(args: readonly string[], env: Environment, { cwd }: { cwd?: string } = {}) {
  const child = Bun.spawn([...bun, cli, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  })
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code, out, err }
}

/** A server in a process of its own, killed when it is disposed of. */
export type Served = AsyncDisposable & {
  readonly url: string
  readonly pid: number
  /** All that it has written to stderr so far, line by line. */
  readonly log: readonly string[]
  kill(signal: NodeJS.Signals): void
  /** Resolves with the exit code once the process has ended and all it wrote was read. */
  readonly exited: Promise<number>
  /** Resolves when a line of the log has this in it. */
  logged(text: string): Promise<void>
}

/**
 * Starts `tenantry serve` on a free port, and resolves when it listens. Throws with its log when it ends before.
 * From source, or `program` where one was built.
 */
export async function startServer(
  env: Environment,
  {
    preload,
    cwd,
    program,
    args = [],
  }: { preload?: string; cwd?: string; program?: string; args?: readonly string[] } = {},
): Promise<Served> {
  const own = program ? [program] : [...bun, ...(preload ? ['--preload', preload] : []), cli]
  const child = Bun.spawn([...own, 'serve', ...args], {
    env: { JWT_SECRET: jwtSecret, PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  })
  const log: string[] = []
  let watchers: (() => void)[] = []
  const read = (async () => {
    let rest = ''
    const decoder = new TextDecoder()
    for await (const bytes of child.stderr) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      log.push(...lines)
      for (const watcher of watchers) watcher()
    }
  })()
  const exited = Promise.all([child.exited, read]).then(([code]) => code)

  const logged = (text: string): Promise<void> => {
    const found = Promise.withResolvers<void>()
    const look = () => {
      if (log.some((line) => line.includes(text))) found.resolve()
    }
    watchers = [...watchers, look]
    look()
    exited.then(() => found.reject(new Error(`The server ended without logging "${text}":\n${log.join('\n')}`)))
    return found.promise
  }

  await logged('Tenantry listens.')
  const url = /url[":=]+(http:[^",\s]+)/.exec(log.find((line) => line.includes('Tenantry listens.')) ?? '')?.[1] ?? ''
  return {
    url,
    pid: child.pid,
    log,
    kill: (signal) => child.kill(signal),
    exited,
    logged,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}

export const asksAt = (provider: { url: string }) => ({ PROVIDER_BASE_URL: provider.url, PROVIDER_MODEL: 'fake-model' })

/** A tenant with one user in the database at `url`, and that user's token. */
export async function seed(url: string, role: Role = 'admin'): Promise<{ tenant_id: string; token: string }> {
  await using connection = connect(url)
  await migrate(connection.root)
  const deps = { database: connection.database, clock: systemClock }
  const tenant_id = await createTenant(deps, { name: 'Acme', slug: 'acme' })
  const user = { external_id: 'ada', email: 'ada@acme.example', role }
  await asTenant(tenant_id, () => createUser(deps, tenant_id, user))
  const jwt = { secret: jwtSecret, issuer: undefined, audience: 'tenantry', jwksUrl: undefined }
  return { tenant_id, token: await signToken({ sub: 'ada', tenant_id, role }, jwt, systemClock, 3600) }
}
