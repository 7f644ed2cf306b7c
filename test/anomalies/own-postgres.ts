import { spawn, spawnSync } from 'node:child_process'
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '../../src/database/database'
import { account, binaries, initialised } from '../../src/testing/postgres-server'

/** A PostgreSQL of a test's own, which may be stopped and killed; the run's other databases know nothing of it. */
export type OwnPostgres = AsyncDisposable & {
  readonly url: string
  /** Where it listens; there is nothing while it does not run. */
  readonly socket: string
  start(): Promise<void>
  /** `SIGINT` undoes what is running and ends; `SIGQUIT` drops everything, as a crash does. Resolves when it has ended. */
  stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>
}

/** What was committed is there after a crash of the server, though not after one of the machine: nothing is synced. */
const settings = ['listen_addresses=', 'fsync=off', 'synchronous_commit=on', 'shared_buffers=32MB'].flatMap(
  (setting) => ['-c', setting],
)

export async function ownPostgres(): Promise<OwnPostgres> {
  const folder = binaries()
  const owner = process.getuid?.() === 0 ? account() : undefined
  const home = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'own-postgres-'))
  const [data, run] = [join(home, 'data'), join(home, 'run')]
  mkdirSync(run)
  if (owner) chownSync(home, owner.uid, owner.gid)
  cpSync(initialised(folder, home, owner), data, { recursive: true, preserveTimestamps: true })
  if (owner) spawnSync('chown', ['-R', `${owner.uid}:${owner.gid}`, home])

  const socket = join(run, '.s.PGSQL.5432')
  const pidFile = join(data, 'postmaster.pid')
  const pid = () => Number(/^\d+/.exec(readFileSync(pidFile, 'utf8'))?.[0])
  const isRunning = (pid: number) => existsSync(`/proc/${pid}`) || spawnSync('kill', ['-0', String(pid)]).status === 0

  const urlOf = (role: string) => `postgres://${role}@localhost:5432/${role}?socket=${run}`
  const own: OwnPostgres = {
    url: urlOf('service'),
    socket,
    async start() {
      // A process of nobody's, because Bun ends the children of a test that timed out; goes by itself when the run is gone.
      const script = `"$0" "$@" >>"${home}/log" 2>&1 & server=$!
        while { [ -d /proc/${process.pid} ] || kill -0 ${process.pid}; } && kill -0 $server; do sleep 0.2; done
        kill -QUIT $server; wait $server
        [ -d /proc/${process.pid} ] || kill -0 ${process.pid} || rm -rf "${home}"`
      spawn('sh', ['-c', `( ${script} ) 2>/dev/null &`, join(folder, 'postgres'), '-D', data, '-k', run, ...settings], {
        cwd: home,
        detached: true,
        stdio: 'ignore',
        ...owner,
      }).unref()
      const isReady = () => existsSync(pidFile) && /^ready/m.test(readFileSync(pidFile, 'utf8').split('\n')[7] ?? '')
      const startedAt = performance.now()
      while (!isReady()) {
        if (performance.now() - startedAt > 20_000) throw new Error(readFileSync(join(home, 'log'), 'utf8'))
        await Bun.sleep(5)
      }
    },
    async stop(signal) {
      const server = pid()
      process.kill(server, signal)
      while (isRunning(server)) await Bun.sleep(5)
    },
    async [Symbol.asyncDispose]() {
      if (existsSync(pidFile)) await own.stop('SIGQUIT').catch(() => {})
      rmSync(home, { recursive: true, force: true })
    },
  }
  await own.start()
  // The service does not start as a superuser, whom row level security does not bind.
  await using server = connect(urlOf('postgres'), { maxConnections: 1 })
  for (const text of ['create role service login', 'create database service owner service'])
    await server.root.session.run({ text, params: [], shape: 'arrays' })
  return own
}
