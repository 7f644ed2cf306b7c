import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { childEnv } from './failures/child'

const readme = await Bun.file(join(import.meta.dir, '../../src/testing/README.md')).text()

/** The README's blocks are one small project: each says in its first line to which file it belongs. */
function files(): Map<string, string> {
  const found = new Map<string, string>()
  for (const [, name = '', code = ''] of readme.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g))
    found.set(name, `${found.get(name) ?? ''}${code}\n`)
  return found
}

test('the examples of the README run as they stand', async () => {
  // Inside the package, which is how `tenantry/testing` is found.
  const folder = mkdtempSync(join(import.meta.dir, 'readme-'))
  try {
    for (const [name, code] of files()) writeFileSync(join(folder, name), code)
    writeFileSync(join(folder, 'bunfig.toml'), '[test]\npreload = ["./setup.ts"]\n')
    const child = Bun.spawn([process.execPath, 'test', './notes.test.ts'], {
      cwd: folder,
      env: childEnv({ TESTING_DATABASE_URL: 'sqlite::memory:' }),
      stdio: ['ignore', 'ignore', 'pipe'],
    })

    const output = await new Response(child.stderr).text()

    expect(output).toContain(' 0 fail')
    expect(output).toContain(' 8 pass')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('each block belongs to a file', () => {
  expect([...files().keys()]).toEqual(['notes.test.ts', 'app.ts', 'kit.ts', 'setup.ts'])
  expect(readme.match(/```ts\n(?!\/\/ \S+\.ts\n)/g)).toBeNull()
})

test('its number is the one that was printed', async () => {
  const printed = await Bun.file(join(import.meta.dir, '../../bench/README.md')).text()
  const [sqlite, postgres] = [...printed.matchAll(/^\| opening a world and rolling it back \| ([\d.]+)/gm)].map(
    ([, ms]) => ms,
  )

  expect(readme).toContain(` ${sqlite} ms on SQLite in memory, ${postgres} ms on PostgreSQL `)
})
