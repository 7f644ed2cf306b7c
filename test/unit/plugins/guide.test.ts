import { expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { plugins } from '../../../src/plugins/registry'
import { childEnv } from '../../testing/failures/child'

const project = join(import.meta.dir, '../../..')
const guide = await Bun.file(join(project, 'docs/PLUGINS.md')).text()

/** The guide's blocks are files: each says in its first line which. */
const files = [...guide.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(([, name = '', code = '']) => ({
  name,
  code,
}))

/** The project once more as far as a plugin sees it, with the guide's files in their places. */
function projectWithExample(root: string): void {
  for (const folder of ['src', 'src/plugins', 'test/unit/plugins']) {
    mkdirSync(join(root, folder), { recursive: true })
    for (const entry of readdirSync(join(project, folder), { withFileTypes: true })) {
      const isOwn = entry.name === 'plugins' || entry.name.endsWith('.test.ts') || entry.name.startsWith('guide-')
      if (!isOwn) symlinkSync(join(project, folder, entry.name), join(root, folder, entry.name))
    }
  }
  for (const { name, code } of files) {
    mkdirSync(join(root, dirname(name)), { recursive: true })
    writeFileSync(join(root, name), code)
  }
}

test('the example of the guide runs as it stands', async () => {
  // Inside the package, which is how the packages it uses are found.
  const root = mkdtempSync(join(import.meta.dir, 'guide-'))
  try {
    projectWithExample(root)
    const child = Bun.spawn([process.execPath, 'test', './test/unit/plugins/house-style.test.ts'], {
      cwd: root,
      env: childEnv({}),
      stdio: ['ignore', 'ignore', 'pipe'],
    })

    const output = await new Response(child.stderr).text()

    expect(output).toContain(' 0 fail')
    expect(output).toContain(' 1 pass')
  } finally {
    rmSync(root, { recursive: true })
  }
})

test('the guide has a file for each block, and a section for each plugin', () => {
  const sections = [...guide.matchAll(/^### (\w+)$/gm)].map(([, name]) => name)

  expect(files.map(({ name }) => name)).toEqual(['src/plugins/house-style.ts', 'test/unit/plugins/house-style.test.ts'])
  expect(guide.match(/```ts\n(?!\/\/ \S+\.ts\n)/g)).toBeNull()
  expect(sections).toEqual(expect.arrayContaining(plugins.map(({ name }) => name)))
})
