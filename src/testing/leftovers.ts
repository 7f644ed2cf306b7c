import { spawn } from 'node:child_process'
import { Writable } from 'node:stream'
import type { Sql } from 'postgres'
import { postgres } from './postgres-client'

/** Removes databases and roles of runs that are over: made by the kit for a run whose connection, which has its name, is gone. */
export async function removeLeftovers(admin: Sql, prefix: string): Promise<void> {
  const found = await admin<{ datname: string }[]>`
    select datname from pg_database
    where starts_with(datname, ${prefix})
      and not exists (
        select from pg_stat_activity
        where application_name = substring(pg_database.datname from '^.*_test_[0-9]{13}_[0-9]+'))`
  for (const { datname } of found) {
    if (!/_test_\d{13}_\d+(_\w+)?$/.test(datname)) continue
    // Several runs may find the same one; somebody may be looking at it.
    await admin.unsafe(`drop database if exists "${datname.replaceAll('"', '""')}"`).catch(() => {})
  }
  const roles = await admin<{ rolname: string }[]>`
    select rolname from pg_roles
    where starts_with(rolname, ${prefix})
      and not exists (select from pg_stat_activity where application_name = rolname)`
  for (const { rolname } of roles) {
    if (!/_test_\d{13}_\d+$/.test(rolname)) continue
    await admin.unsafe(`drop role if exists "${rolname.replaceAll('"', '""')}"`).catch(() => {})
  }
}

/**
 * Runs a shell command when this process ends before it dismissed the watcher, however it ends: kill -9 too, because a
 * pipe tells. A process of nobody's, so that whoever ends the run does not end it as well.
 */
export function watchOverRun(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): { dismiss(): void } {
  // Not its stdin: bun closes that when the shell, which only starts the watcher, is over.
  const script = `( read -r over <&3 || ${command} ) >/dev/null 2>&1 &`
  const child = spawn('sh', ['-c', script, ...args], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  })
  child.unref()
  const pipe = child.stdio[3]
  if (!(pipe instanceof Writable)) throw new Error('The watcher has no pipe.')
  return { dismiss: () => void pipe.end('over\n') }
}

// The watcher of a run on a server starts this file as a program.
if (import.meta.main) {
  const { TESTING_LEFT: url, TESTING_PREFIX: prefix } = process.env
  if (!url || !prefix) throw new Error('TESTING_LEFT and TESTING_PREFIX say what to remove.')
  const address = new URL(url)
  const socket = address.searchParams.get('socket')
  address.searchParams.delete('socket')
  const admin = postgres(address.href, { max: 1, onnotice() {}, ...(socket && { host: socket }) })
  await removeLeftovers(admin, prefix)
  await admin.end()
}
