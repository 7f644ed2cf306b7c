import { randomUUID } from 'node:crypto'
import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { conflict, failureCode } from '../errors'

/**
 * Has `write` fill a file beside it, which only its owner may read, and gives that its name when it is whole and on the
 * disk. Returns its size in bytes. Throws conflict where there is something of that name: nothing is written over.
 */
export async function writeNewFile(path: string, write: (unfinished: string) => Promise<void>): Promise<number> {
  const target = resolve(path)
  if (await isThere(target)) throw taken(path)
  const unfinished = join(dirname(target), `.${randomUUID()}.unfinished`)
  try {
    await (await open(unfinished, 'wx', 0o600)).close()
    await write(unfinished)
    const bytes = await sync(unfinished)
    await publish(unfinished, target)
    await sync(dirname(target))
    return bytes
  } catch (error) {
    const code = failureCode(error) ?? ''
    if (code === 'EEXIST') throw taken(path)
    if (/^(E[A-Z]+|SQLITE_FULL)$/.test(code)) throw new Error(`${path} cannot be written: ${code}`)
    throw error
  } finally {
    await rm(unfinished, { force: true })
  }
}

const taken = (path: string) => conflict(`${path} is there already, and nothing is written over it.`)

const isThere = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  )

async function sync(path: string): Promise<number> {
  const file = await open(path)
  try {
    await file.sync()
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}

/** A link does not replace what came there meanwhile, as renaming does; where there are no links, that has to do. */
async function publish(unfinished: string, target: string): Promise<void> {
  try {
    await link(unfinished, target)
  } catch (error) {
    if (!/^(EPERM|ENOTSUP|EOPNOTSUPP|ENOSYS)$/.test(failureCode(error) ?? '')) throw error
    await rename(unfinished, target)
  }
}
