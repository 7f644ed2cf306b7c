import { join } from 'node:path'

/**
 * Runs while the program is bundled or transpiled, as the migrations do: the page becomes part of it, and nothing
 * generated is committed. By the command line, because a macro may not wait for Bun.build; all options are named here,
 * because the image is built without tsconfig.json.
 */
export function bundlePage(entry: string): string {
  const { stdout, stderr, success } = Bun.spawnSync([
    process.execPath,
    'build',
    join(import.meta.dir, 'page', entry),
    '--production',
    '--target=browser',
    '--jsx-runtime=automatic',
    '--jsx-import-source=preact',
  ])
  if (!success) throw new Error(`The dashboard could not be bundled: ${stderr}`)
  return stdout.toString()
}
