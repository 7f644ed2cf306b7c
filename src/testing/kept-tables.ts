import { readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An SQLite database with its tables and no rows, kept between runs, because each migration makes it take longer to make. */
export type KeptTables = {
  /** Undefined where no run has kept it, or nobody has used it for a week. */
  read(): Uint8Array | undefined
  write(database: Uint8Array): void
}

const prefix = `testing-sqlite-kept-${process.getuid?.() ?? 0}-`
const weekMs = 7 * 24 * 60 * 60 * 1000
const hashBytes = 32

/** In the temp folder, under the hash of what the tables are made from. A file that is not whole, or another user's, is as good as none. */
export function keptTables(hash: string): KeptTables {
  const path = join(tmpdir(), `${prefix}${hash}`)
  return {
    read() {
      try {
        if (statSync(path).uid !== (process.getuid?.() ?? 0)) return undefined
        const file = readFileSync(path)
        const database = file.subarray(hashBytes)
        if (!hashOf(database).equals(file.subarray(0, hashBytes))) return undefined
        utimesSync(path, new Date(), new Date())
        return new Uint8Array(database)
      } catch {
        return undefined
      }
    },
    write(database) {
      const unfinished = `${path}.${process.pid}`
      try {
        writeFileSync(unfinished, Buffer.concat([hashOf(database), database]), { mode: 0o600 })
        renameSync(unfinished, path)
        removeUnused()
      } catch {
        rmSync(unfinished, { force: true }) // the next run makes its tables itself
      }
    },
  }
}

const hashOf = (bytes: Uint8Array) => new Bun.CryptoHasher('sha256').update(bytes).digest()

function removeUnused(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue
    const path = join(tmpdir(), name)
    if (Date.now() - statSync(path).mtimeMs > weekMs) rmSync(path, { force: true })
  }
}
