import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { Glob } from 'bun'

const folder = join(import.meta.dir, '../../drizzle/postgres')
/** It bound all tables of its time. */
const first = '0005_row_level_security.sql'

test('a migration that adds a table of tenants binds it to its tenant on PostgreSQL', async () => {
  const unbound: string[] = []
  for (const file of [...new Glob('*.sql').scanSync(folder)].filter((name) => name > first).sort()) {
    const text = await Bun.file(join(folder, file)).text()
    for (const [, table = '', columns = ''] of text.matchAll(/^CREATE TABLE "(\w+)" \(([\s\S]*?)\n\);/gm)) {
      const bound = `SELECT "bind_to_tenant"('${table}')`
      if (columns.includes('"tenant_id"') && !text.includes(bound)) unbound.push(`${file} wants at its end: ${bound};`)
    }
  }

  expect(unbound).toEqual([])
})
