import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dialect } from '../../src/database/dialect'
import { emptyDatabase } from '../own-database'
import { jwtSecret, seed, startServer, tenantry } from '../process/program'
import { Callers, interrupted, lostOf } from './callers'
import { mounted } from './small-disk'

// Starting processes takes as long as the machine is busy.
setDefaultTimeout(60_000)

using tried = mounted('size=16m')
const mayMount = tried !== undefined
if (!mayMount)
  console.log('Tests of full and read-only disks are skipped: only root may mount a file system of its own.')

describe.if(dialect === 'sqlite' && mayMount)('a service whose SQLite file', () => {
  test('has no room on its disk answers 503, goes on when there is, and loses nothing', async () => {
    using disk = requireDisk()
    const url = `sqlite:${disk.folder}/own.db`
    const { token } = await seed(url)
    await using served = await startServer({ DATABASE_URL: url })
    const callers = new Callers(token, [served.url])

    await callers.acknowledge(20)
    disk.fill()
    await callers.refuse(50)
    const live = await fetch(`${served.url}/health/live`)
    disk.free()
    await callers.acknowledge(50)
    await callers.stop()

    expect(live.status).toBe(200)
    expect(callers.kindsOfRefusal).toEqual([interrupted])
    expect(callers.unanswered).toEqual([])
    expect(await lostOf(callers.acknowledged, url)).toEqual([])
  })

  test('is backed up to a disk without room is told which file cannot be written, and nothing is left of it', async () => {
    using disk = requireDisk()
    await using database = await emptyDatabase()
    await seed(database.url)
    const file = `${disk.folder}/backup.db`

    disk.fill()
    const full = await tenantry(['backup', file], { DATABASE_URL: database.url })
    disk.free()
    const roomy = await tenantry(['backup', file], { DATABASE_URL: database.url })

    expect(full).toEqual({ code: 1, out: '', err: `tenantry: ${file} cannot be written: SQLITE_FULL\n` })
    expect(roomy.code).toBe(0)
    expect(readdirSync(disk.folder)).toEqual(['backup.db'])
  })

  test('may not be written does not start, and says why in one line', async () => {
    using disk = requireDisk()
    const url = `sqlite:${disk.folder}/own.db`
    await seed(url)
    spawnSync('mount', ['-o', 'remount,ro', disk.folder])

    const ran = await tenantry(['serve'], { DATABASE_URL: url, JWT_SECRET: jwtSecret, PORT: '0' })

    expect(ran).toMatchObject({ code: 1, out: '' })
    expect(ran.err).toMatch(/^tenantry: [^\n]*DATABASE_URL[^\n]*SQLITE_(READONLY|CANTOPEN)[^\n]*\n$/)
  })
})

function requireDisk() {
  const disk = mounted('size=16m')
  if (!disk) throw new Error('It could be mounted a moment ago.')
  return disk
}
