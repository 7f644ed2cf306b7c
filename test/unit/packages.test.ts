import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundled } from '../packages'

const root = join(import.meta.dir, '../..')
/** `@scope/name` or `name` of what is imported. */
const packageOf = (path: string) => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? ''

test('what tests read of the bundled packages is in the bundle, or there would be two of it', () => {
  const transpilers = { ts: new Bun.Transpiler({ loader: 'ts' }), tsx: new Bun.Transpiler({ loader: 'tsx' }) }
  const packages = new Set(bundled.map(packageOf))
  const imported = new Set<string>()
  for (const path of new Bun.Glob('{src,test,bench}/**/*.{ts,tsx}').scanSync(root)) {
    const text = readFileSync(join(root, path), 'utf8').replace(/^#!.*/, '')
    const imports = transpilers[path.endsWith('x') ? 'tsx' : 'ts'].scanImports(text).map((found) => found.path)
    for (const name of imports) if (packages.has(packageOf(name))) imported.add(name)
  }

  expect([...imported].sort()).toEqual([...bundled].sort())
})
