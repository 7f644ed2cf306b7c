import { join } from 'node:path'
import { root } from './processes'

/** Records into `folder` what a flow asks this kind of database, and returns the file: see by-hand.ts. */
export function recordFlow(url: string, folder: string): string {
  const file = join(folder, `flow-${url.split(':', 1)[0]}.json`)
  const run = Bun.spawnSync([process.execPath, 'test', './bench/support/recording.test.ts'], {
    cwd: root,
    env: { ...process.env, TESTING_DATABASE_URL: url, BENCH_FLOW: file },
    stdout: 'ignore',
    stderr: 'pipe',
  })
  if (!run.success) throw new Error(run.stderr.toString().slice(-3000))
  return file
}
