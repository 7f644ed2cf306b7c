import { randomUUID } from 'node:crypto'
import { access, constants, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { failureCode } from '../errors'
import { isId } from '../ids'
import { HopelessJob } from '../jobs/job'
import type { TenantFiles } from './plugin'

/** Folders for tenants below the operator's (EXPORT_DIR), each named by the tenant's id and made when it is first written to. */
export const openFiles =
  (folder: string | undefined) =>
  (tenant_id: string): TenantFiles => ({
    async write(name, content) {
      if (folder === undefined)
        throw new HopelessJob('This server keeps no files for its tenants: its operator has not set EXPORT_DIR.')
      // Nothing that a tenant says becomes a path, so what is refused here is a mistake of ours.
      if (!isId(tenant_id) || !plainName.test(name)) throw new Error('This is no name for a file of a tenant.')
      const own = join(folder, tenant_id)
      await mkdir(own, { recursive: true, mode: 0o700 })
      await replace(join(own, name), content)
      return join(tenant_id, name)
    },
  })

/** Throws where nothing could be written: rather at the start than at night, in a job. */
export async function requireFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await access(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new Error(`EXPORT_DIR is not a folder that can be written to (${failureCode(error)})`)
  }
}

/** No separators, and no dot in front: neither a way out nor one of the half-written files. */
const plainName = /^[a-z0-9][a-z0-9._-]{0,99}$/

/** Written beside it and moved over it, so that a reader finds the old content or the new. A link in its place is replaced, not followed. */
async function replace(path: string, content: string): Promise<void> {
  const unfinished = join(path, '..', `.${randomUUID()}.unfinished`)
  try {
    const file = await open(unfinished, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(unfinished, path)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
}
