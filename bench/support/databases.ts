import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Empty databases of these names: SQLite files, or with `--postgres` in an embedded server, which ends with this process. */
export async function databases(
  names: readonly string[],
): Promise<{ databaseUrls: string[]; folder: string | undefined; name: string }> {
  if (!process.argv.includes('--postgres')) {
    const folder = mkdtempSync(join(tmpdir(), 'tenantry-bench-'))
    return { databaseUrls: names.map((each) => `sqlite:${folder}/${each}.db`), folder, name: 'SQLite file' }
  }
  const { embeddedPostgres } = await import('../../src/testing/postgres-server')
  const { default: postgres } = await import('postgres')
  const server = embeddedPostgres()
  await server.started
  const admin = postgres({ host: server.socket, user: 'postgres', database: 'postgres', max: 1, onnotice() {} })
  for (const each of names) await admin.unsafe(`create database ${each}`)
  await admin.end()
  return { databaseUrls: names.map((each) => server.url(each)), folder: undefined, name: 'embedded PostgreSQL' }
}
